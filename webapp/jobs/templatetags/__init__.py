"""How jobs are written on the page."""
