"""A library folder under construction: committed in steps, continued after a kill, swapped in whole.

Everything is written to ``<out>.building`` beside the target. A commit first brings the arrays to the disk,
then one SQLite transaction that holds the rows *and* the lengths of all arrays: after a kill, the arrays are
cut back to the lengths of the last transaction and the import goes on with the record after it. Readers never
see the folder: it takes the target's name by one exchange of names when its manifest is complete.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.retrieval import manifest
from mlcore.retrieval.arrays import ArrayWriter, RaggedWriter, load_array
from mlcore.retrieval.descriptors import FINGERPRINT_BITS
from mlcore.retrieval.encoding import MoleculeEncoding
from mlcore.retrieval.preparation import Prepared
from mlcore.retrieval.rows import INDEXES, PROPERTIES, SCHEMA, fold
from mlcore.retrieval.vectors import placement
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import LibraryError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BYTES = FINGERPRINT_BITS // 8


@dataclass(frozen=True)
class State:
    """How far an import has come, as committed."""

    records: int = 0
    used: int = 0
    refused: int = 0
    duplicates: int = 0
    renamed: int = 0  # ids that stood for another molecule already and got a number
    motif_rows: int = 0
    atom_rows: int = 0
    descriptions: int = 0
    mend_bytes: int = 0
    read: bool = False  # the source has been read to its end
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewRow:
    """A molecule to be added: its place, names and texts beside what was prepared of it."""

    idx: int
    id: str
    name: str
    synonyms: tuple[str, ...]
    source: str
    category: str
    prepared: Prepared


@dataclass(frozen=True)
class Merge:
    """What a duplicate adds to the row ``idx``."""

    idx: int
    name: str  # becomes the row's name if it has none, else a synonym
    synonyms: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Step:
    """What one commit adds; ``encoding`` belongs to ``rows``, ``text_vectors`` to ``texts``: sentences and wordings."""

    state: State  # after the step
    rows: Sequence[NewRow]
    encoding: MoleculeEncoding | None
    merges: Sequence[Merge]
    texts: Sequence[tuple[int, str]]  # row, description
    text_vectors: tuple[np.ndarray, np.ndarray] | None
    refusals: Sequence[tuple[int, int, str, str]]  # line, record, reason, beginning of the text
    mend: str  # what the file to mend grows by


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turn a full disk, missing rights and the like into a :class:`LibraryError` that says what to do."""
    kept = f"What was imported so far is kept in {folder}; nothing else was changed."
    again = "run the same command with --resume"
    try:
        yield
    except OSError as fault:
        if fault.errno in _FULL:
            raise LibraryError(f"The disk is full. {kept} Free some space, then {again}.") from fault
        raise LibraryError(
            f"The library cannot be written: {fault}. {kept} Mend that, then {again}."
        ) from fault
    except sqlite3.OperationalError as fault:
        what = "The disk is full." if "full" in str(fault) else f"The library cannot be written: {fault}."
        raise LibraryError(f"{what} {kept} Mend that, then {again}.") from fault


class Building:
    """The folder under construction. One process at a time; see the module's description."""

    def __init__(
        self,
        out: Path,
        settings: dict[str, Any],
        *,
        dim: int,
        fine: int,
        wording: int | None = None,
        refused_name: str,
        resume: bool,
    ) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.building")
        self._settings = json.dumps(settings, sort_keys=True)
        self._refused = self.folder / refused_name
        _refuse_other(out)
        _refuse_other(self.folder, work="rows.sqlite")
        with disk_faults(self.folder):
            out.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
            earlier = self._continue() if resume else None
            self.resumed = earlier is not None
            if earlier is None:
                self._empty()
            self.state = earlier or State()
            self.complete = (self.folder / manifest.NAME).exists()
            self._database = self._open_database()
            if not self.complete:
                self._open_arrays(dim, fine, wording or dim)

    # opening

    def _continue(self) -> State | None:
        """The state of an earlier run with the same settings, or None."""
        path = self.folder / "rows.sqlite"
        if not path.exists():
            return None
        try:
            with sqlite3.connect(path) as database:
                settings, state = database.execute("SELECT settings, state FROM journal").fetchone()
            database.close()
        except (sqlite3.DatabaseError, TypeError):
            return None
        return _state(json.loads(state)) if settings == self._settings else None

    def _empty(self) -> None:
        for path in sorted(self.folder.iterdir(), key=lambda path: path.name == "rows.sqlite"):
            if path.name != placement.LEDGER:  # what was begun elsewhere is still to be dropped
                path.unlink()  # the database last: it tells that the folder is an import's

    def _open_database(self) -> sqlite3.Connection:
        path = self.folder / "rows.sqlite"
        created = not path.exists()
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA cache_size = -65536")
        if created:
            database.executescript(f"BEGIN; {SCHEMA}")
            database.execute(
                "INSERT INTO journal VALUES (?, ?)", (self._settings, json.dumps(asdict(State())))
            )
            database.execute("COMMIT")
        return database

    def _open_arrays(self, dim: int, fine: int, wording: int) -> None:
        state, folder = self.state, self.folder
        rows = state.used
        self._vectors = ArrayWriter(folder / "vectors.npy", "float32", dim, rows)
        self._motifs = RaggedWriter(folder, "motif", fine, rows, state.motif_rows)
        self._atoms = RaggedWriter(folder, "atom", fine, rows, state.atom_rows)
        self._morgan = ArrayWriter(folder / "morgan.npy", "uint8", _BYTES, rows)
        self._patterns = ArrayWriter(folder / "patterns.npy", "uint8", _BYTES, rows)
        self._texts = ArrayWriter(folder / "descriptions.npy", "float32", dim, state.descriptions)
        self._wordings = ArrayWriter(folder / "wordings.npy", "float16", wording, state.descriptions)
        self._owners = ArrayWriter(folder / "description_owners.npy", "int64", None, state.descriptions)
        self._mend = self._refused.open("ab")
        self._mend.truncate(state.mend_bytes)
        self._mend.seek(state.mend_bytes)
        self._parts = [
            self._vectors, *self._motifs.parts(), *self._atoms.parts(), self._morgan, self._patterns,
            self._texts, self._wordings, self._owners,
        ]  # fmt: skip

    # asking

    def find(self, identity: str) -> int | None:
        """The row that holds the molecule ``identity``, if there is one."""
        found = self._database.execute("SELECT idx FROM rows WHERE identity = ?", (identity,)).fetchone()
        return found[0] if found else None

    def id_taken(self, identifier: str) -> bool:
        """Whether a row is called ``identifier``."""
        return self._database.execute("SELECT 1 FROM rows WHERE id = ?", (identifier,)).fetchone() is not None

    def has_text(self, idx: int, text: str) -> bool:
        """Whether the row ``idx`` has the description ``text``."""
        found = self._database.execute(
            "SELECT 1 FROM descriptions WHERE row = ? AND text = ?", (idx, text)
        ).fetchone()
        return found is not None

    def refusals(self) -> list[tuple[int, int, str, str]]:
        """Line, record, reason and text of the first refused records."""
        return self._database.execute(
            "SELECT line, record, reason, raw FROM refusals ORDER BY record"
        ).fetchall()

    # adding

    def commit(self, step: Step) -> None:
        """Add one step and make it last; :class:`LibraryError` when the disk does not take it."""
        first_text = self.state.descriptions
        with disk_faults(self.folder):
            if step.encoding is not None:
                self._vectors.append(step.encoding.vectors)
                self._motifs.append(step.encoding.motifs, step.encoding.motif_offsets)
                self._atoms.append(step.encoding.atoms, step.encoding.atom_offsets)
                self._morgan.append(_stack(row.prepared.morgan for row in step.rows))
                self._patterns.append(_stack(row.prepared.pattern for row in step.rows))
            if step.text_vectors is not None:
                self._texts.append(step.text_vectors[0])
                self._wordings.append(step.text_vectors[1])
                self._owners.append(np.array([row for row, _ in step.texts], dtype=np.int64))
            self._mend.write(step.mend.encode("utf-8"))
            for part in self._parts:
                part.sync()
            self._mend.flush()
            os.fsync(self._mend.fileno())
            state = replace(
                step.state,
                motif_rows=self._motifs.rows,
                atom_rows=self._atoms.rows,
                descriptions=self._texts.rows,
                mend_bytes=self._mend.tell(),
            )
            self._transact(step, state, first_text)
        self.state = state

    def _transact(self, step: Step, state: State, first_text: int) -> None:
        rows, merges = step.rows, step.merges
        run = self._database
        run.execute("BEGIN IMMEDIATE")
        try:
            marks = ",".join("?" * (16 + len(PROPERTIES)))
            run.executemany(f"INSERT INTO rows VALUES ({marks})", map(_values, rows))  # noqa: S608 - only marks
            run.executemany(
                "INSERT INTO elements VALUES (?, ?, ?)",
                ((symbol, row.idx, n) for row in rows for symbol, n in row.prepared.elements.items()),
            )
            names = [(row.idx, row.name, fold(row.name), 1) for row in rows if row.name]
            for merge in merges:
                filled = "UPDATE rows SET name = ? WHERE idx = ? AND name = ''"
                if merge.name and run.execute(filled, (merge.name, merge.idx)).rowcount:
                    names.append((merge.idx, merge.name, fold(merge.name), 1))
            names += [(row.idx, name, fold(name), 0) for row in rows for name in row.synonyms]
            names += [(m.idx, name, fold(name), 0) for m in merges for name in (m.name, *m.synonyms) if name]
            run.executemany("INSERT OR IGNORE INTO synonyms VALUES (?, ?, ?, ?)", names)
            run.executemany(
                "UPDATE rows SET source = source || '; ' || :source WHERE idx = :idx "
                "AND instr('; ' || source || '; ', '; ' || :source || '; ') = 0",
                ({"source": m.source, "idx": m.idx} for m in merges),
            )
            run.executemany(
                "INSERT INTO descriptions VALUES (?, ?, ?)",
                ((first_text + i, row, text) for i, (row, text) in enumerate(step.texts)),
            )
            run.executemany("INSERT INTO refusals VALUES (?, ?, ?, ?)", step.refusals)
            run.execute("UPDATE journal SET state = ?", (json.dumps(asdict(state)),))
            run.execute("COMMIT")
        except BaseException:
            if run.in_transaction:
                run.execute("ROLLBACK")
            raise

    # ending

    def finish(
        self, facts: dict[str, Any], policy: IndexPolicy, place: MilvusPlace | None = None
    ) -> dict[str, Any]:
        """Build the index (in ``place`` if given), write the manifest from ``facts`` and swap the folder in;
        returns the manifest.
        """
        with disk_faults(self.folder):
            if not self.complete:
                self._write_manifest(facts, policy, place)
            written = manifest.read_manifest(self.folder)
            self._database.close()
            (self.folder / "vectors.npy").unlink(missing_ok=True)
            placement.succeed(self.folder, self.out)
            swap(self.folder, self.out)
            os.close(self._lock)
        placement.drop_replaced(self.out)
        return written

    def _write_manifest(self, facts: dict[str, Any], policy: IndexPolicy, place: MilvusPlace | None) -> None:
        folder, state = self.folder, self.state
        for part in self._parts:
            part.close()
        self._mend.close()
        if not state.refused:
            self._refused.unlink(missing_ok=True)
        for statement in INDEXES:
            self._database.execute(statement)
        self._database.execute("ANALYZE")
        digest = self._content()
        self._database.close()
        identity = json.dumps([manifest.SCHEMA_VERSION, facts["model"], digest])
        fingerprint = hashlib.sha256(identity.encode()).hexdigest()
        vectors = load_array(folder / "vectors.npy", mmap_mode="r")
        stored = placement.build_store(
            folder, vectors, place, policy=policy, library=facts["id"], fingerprint=fingerprint
        )
        described = manifest.describe_files(folder)
        files = {
            name: what for name, what in described.items() if name not in ("vectors.npy", placement.LEDGER)
        }
        manifest.write_manifest(
            folder,
            {
                "schema_version": manifest.SCHEMA_VERSION,
                "fingerprint": fingerprint,
                "rows": state.used,
                "descriptions": state.descriptions,
                **stored,
                "counts": {
                    "read": state.records,
                    "used": state.used,
                    "refused": state.refused,
                    "duplicates": state.duplicates,
                },
                "refused_file": self._refused.name if state.refused else None,
                "notes": state.notes,
                "files": files,
                **facts,
            },
        )

    def _content(self) -> str:
        """The sha256 of all rows, names and texts: equal for equal content however the import was
        interrupted.
        """
        digest = hashlib.sha256()
        for query in (
            "SELECT * FROM rows ORDER BY idx",
            "SELECT row, name, main FROM synonyms ORDER BY row, main DESC, name",
            "SELECT row, text FROM descriptions ORDER BY row, text",
        ):
            for values in self._database.execute(query):
                digest.update(json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def abandon(self, *, remove: bool = False) -> None:
        """Leave the folder as it was last committed, or ``remove`` it."""
        if not self.complete:
            for part in self._parts:
                part.abandon()
            with suppress(OSError):  # a full disk refuses the last bytes; they are not committed
                self._mend.close()
        self._database.close()
        if remove:
            with suppress(LibraryError):  # the fault that ended the import is the one to tell
                placement.drop(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _state(values: dict[str, Any]) -> State:
    return State(**{**values, "notes": tuple(values["notes"])})


def _values(row: NewRow) -> tuple[Any, ...]:
    p = row.prepared
    return (
        row.idx, row.id, row.name, p.smiles, p.canonical_smiles, p.standard_smiles, p.identity, p.inchikey,
        p.parent_inchikey, p.tautomer_key, p.formula, p.weight, p.exact_mass, *p.properties, row.source,
        row.category, json.dumps(p.standardisation),
    )  # fmt: skip


def _stack(rows: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, _BYTES)


def _refuse_other(folder: Path, work: str = "") -> None:
    """Raise :class:`LibraryError` when ``folder`` is something that an import must not replace."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise LibraryError(f"{folder} is a file; a library is a folder. Choose another place for it.")
    names = {path.name for path in folder.iterdir()} - {placement.LEDGER}
    if names and manifest.NAME not in names and work not in names:
        raise LibraryError(
            f"The folder {folder} is not empty and holds no library, so it is not replaced. "
            "Choose another place, or remove it yourself."
        )


def _lock(folder: Path) -> int:
    """Make ``folder`` and hold it against other imports until the returned descriptor is closed."""
    while True:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(descriptor)
            raise LibraryError(
                f"Another import is writing to {folder}. Wait until it has ended, or stop it, then try again."
            ) from fault
        try:
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        except FileNotFoundError:
            pass  # the other import swapped it in just now
        os.close(descriptor)


def swap(folder: Path, target: Path) -> None:
    """Give ``folder`` the name ``target``; what had that name is moved aside at the same moment, then
    removed.
    """
    old = target.with_name(f"{target.name}.old")
    _sync(folder)
    shutil.rmtree(old, ignore_errors=True)
    if not target.exists():
        folder.rename(target)
    elif _exchange(folder, target):
        folder.rename(old)
    else:
        target.rename(old)
        folder.rename(target)
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step where the system can (Linux: renameat2)."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here, exchange = -100, 2
    return rename(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
