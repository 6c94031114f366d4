"""An import that only looks: counts, remembers which molecules were there, and writes nothing that stays."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from mlcore.retrieval.building import State, Step


class DryRun:
    """Takes the steps of an import in place of a folder; refused records go to ``mend_path`` if asked.

    They are gathered in a draft beside it, so that the file is there whole or not at all, also when two processes
    read the same molecules.
    """

    def __init__(self, mend_path: Path | None) -> None:
        self.state = State()
        self.mend_path = mend_path
        self._refusals: list[tuple[int, int, str, str]] = []
        self._seen = sqlite3.connect(
            "", isolation_level=None
        )  # in memory, on disk when large, gone when closed
        self._seen.execute("CREATE TABLE seen (identity TEXT PRIMARY KEY, idx INTEGER) WITHOUT ROWID")
        self._draft = mend_path and mend_path.with_name(f".{mend_path.name}.{secrets.token_hex(4)}")
        self._mend = self._draft.open("w", encoding="utf-8") if self._draft else None

    def find(self, identity: str) -> int | None:
        """The number of the molecule ``identity`` among those seen, if it was."""
        found = self._seen.execute("SELECT idx FROM seen WHERE identity = ?", (identity,)).fetchone()
        return found[0] if found else None

    def id_taken(self, _identifier: str) -> bool:
        """Ids are given in the real run."""
        return False

    def has_text(self, _idx: int, _text: str) -> bool:
        """Texts are merged in the real run."""
        return False

    def refusals(self) -> list[tuple[int, int, str, str]]:
        """Line, record, reason and text of the first refused records."""
        return self._refusals

    def commit(self, step: Step) -> None:
        """Remember the molecules and refusals of ``step``."""
        self._seen.execute("BEGIN")
        new = ((row.prepared.identity, row.idx) for row in step.rows)
        self._seen.executemany("INSERT INTO seen VALUES (?, ?)", new)
        self._seen.execute("COMMIT")
        self._refusals.extend(step.refusals)
        if self._mend:
            self._mend.write(step.mend)
        self.state = step.state

    def abandon(self, *, remove: bool = False) -> None:
        """Close; the file to mend stays where the input was read to its end and something was refused."""
        self._seen.close()
        if self._mend is None or self._draft is None or self.mend_path is None:
            return
        self._mend.close()
        if self.state.read and self.state.refused and not remove:
            self._draft.replace(self.mend_path)
            return
        self._draft.unlink(missing_ok=True)
        if self.state.read or remove:
            self.mend_path.unlink(missing_ok=True)  # of an earlier look
