"""Errors that name the fault, the place and the remedy."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used.

    ``field`` names the parameter at fault, ``place`` the line, record or atom, ``remedy`` what to do about it.
    """

    def __init__(
        self, message: str, *, field: str | None = None, place: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        what = f" {self.remedy}" if self.remedy else ""
        return f"{self.message}{where}{what}"


class LimitError(InputError):
    """The input is well formed but larger, or takes longer, than what is allowed."""


class ModelError(RuntimeError):
    """A model folder is missing, damaged or does not fit what is asked of it."""


class LibraryError(RuntimeError):
    """A library folder is missing, damaged or was built by another model."""
