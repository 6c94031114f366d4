"""Static files under names that carry a hash of their content, so that a browser may keep them for ever."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed names once the files have been collected; plain names before (tests, a checkout nobody served yet)."""

    def stored_name(self, name: str) -> str:
        """The hashed name of ``name``, or ``name`` itself where nothing has been collected."""
        return super().stored_name(name) if self.hashed_files else name
