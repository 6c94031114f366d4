"""What an import reports: the counts close, and every refused record has a line and a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: how many refused records a report carries itself; the file to mend holds all of them
SHOWN = 1_000
#: how many characters of a refused record a report carries
RAW = 500


@dataclass(frozen=True)
class Refusal:
    """A record that was not used."""

    line: int
    record: int
    reason: str
    raw: str  # the beginning of its text

    def __str__(self) -> str:
        return f"record {self.record}, line {self.line}: {self.reason}"


@dataclass(frozen=True)
class ImportReport:
    """The outcome of an import or of its dry run; ``read == used + refused + duplicates`` always holds."""

    read: int
    used: int
    refused: int
    duplicates: int
    refusals: tuple[Refusal, ...]  # the first SHOWN
    refused_file: Path | None  # all refused records, to mend; None when there are none or nothing was written
    dry_run: bool
    finished: bool  # False: it was stopped; the same call goes on where it stood
    format: str
    columns: Mapping[str, str] = field(default_factory=dict)  # role -> column of the file
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.read != self.used + self.refused + self.duplicates:
            raise AssertionError(
                f"{self.read} records were read, but {self.used} used, {self.refused} refused and "
                f"{self.duplicates} duplicates do not add up to that"
            )

    def sentence(self) -> str:
        """``1,204 read: 1,198 used, 4 duplicates, 2 refused``."""
        return (
            f"{self.read:,} read: {self.used:,} used, {self.duplicates:,} "
            f"{'duplicate' if self.duplicates == 1 else 'duplicates'}, {self.refused:,} refused"
        )

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "read": self.read,
            "used": self.used,
            "refused": self.refused,
            "duplicates": self.duplicates,
            "refusals": [
                {"line": r.line, "record": r.record, "reason": r.reason, "raw": r.raw} for r in self.refusals
            ],
            "refused_file": str(self.refused_file) if self.refused_file else None,
            "dry_run": self.dry_run,
            "finished": self.finished,
            "format": self.format,
            "columns": dict(self.columns),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "sentence": self.sentence(),
        }
