"""What the API reads (``parameters``, ``bodies``) and what it answers (``answers``)."""
