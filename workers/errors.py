"""What the floor above has to expect: three errors, each with words for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(Exception):
    """Something the user gave cannot be used. ``field`` names it, ``remedy`` says what to do."""

    def __init__(self, message: str, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message, field, remedy)
        self.message = message
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class NotFound(Exception):
    """What was named does not exist, or is not the caller's to see."""


class Busy(Exception):
    """It cannot be done now; trying again later may work, after ``retry_after`` seconds where that is known."""

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooMany(Busy):
    """The caller has as many of something as one may have."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the science's errors into those of this floor; anything else is a fault of ours and passes."""
    from mlcore.runtime.errors import InputError, LibraryError, ModelError

    try:
        yield
    except InputError as error:
        place = f" ({error.place})" if error.place else ""
        raise BadInput(f"{error.message}{place}", error.field, error.remedy) from error
    except (LibraryError, ModelError) as error:
        raise Busy(str(error)) from error
