"""Which store holds the vectors of a library: chosen when it is built, told by its manifest, ended with it.

``manifest["vectors"]`` is ``{"store": "faiss"}`` (also where it is missing) or ``{"store": "milvus", "collection":
..., "location": ...}``; the location holds no secrets. A collection belongs to one library folder: its name holds the
library's id, the beginning of its fingerprint and a random part, so that two libraries never share one, not even
equal ones in two places.

Folders are swapped in one step and collections cannot be: the new one is written before the swap, the old one dropped
a while after it. In between, :data:`LEDGER` in the folder lists the collections that are to go; a process that is
killed leaves the list to the next build, or to :func:`drop`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcore.retrieval import manifest
from mlcore.retrieval.vectors.milvus_client import REQUEST_SECONDS, connection
from mlcore.retrieval.vectors.milvus_place import MilvusPlace, read_place
from mlcore.runtime.errors import InputError, LibraryError

if TYPE_CHECKING:
    from mlcore.retrieval.vectors.policy import IndexPolicy
    from mlcore.retrieval.vectors.protocol import VectorStore

#: collections begun for a folder under construction; in a finished one, those that it replaced
LEDGER = "collections.json"
FAISS_FILE = "vectors.faiss"
#: how long searches under way may go on with a collection that has been replaced
GRACE_SECONDS = 30.0

Record = dict[str, str]


def check(place: MilvusPlace | None) -> None:
    """Raise :class:`LibraryError` now when ``place`` could not take vectors later."""
    if place is not None:
        with connection(place, create=True) as client:
            client.list_collections(timeout=REQUEST_SECONDS)


def build_store(
    folder: Path,
    vectors: np.ndarray,
    place: MilvusPlace | None,
    *,
    policy: IndexPolicy,
    library: str,
    fingerprint: str,
) -> dict[str, Any]:
    """Put ``vectors`` (n, dim) where ``place`` says (None: a FAISS file in ``folder``); what the manifest is to say of
    them under ``index`` and ``vectors``.
    """
    if place is None:
        from mlcore.retrieval.vectors.on_faiss import FaissVectorStore

        store = FaissVectorStore.build(vectors, policy=policy)
        try:
            store.save(folder / FAISS_FILE)
        except RuntimeError as fault:
            raise OSError(errno.ENOSPC, f"the vector index could not be written: {fault}") from fault
        return _described(store, {"store": "faiss"})
    from mlcore.retrieval.vectors.on_milvus import MilvusVectorStore

    slug = re.sub(r"\W", "_", library, flags=re.ASCII)[:100]
    name = f"ferry_{slug}_{fingerprint[:12]}_{secrets.token_hex(4)}"
    record = {"store": "milvus", "collection": name, "location": place.location}
    _write_ledger(folder, [*_read_ledger(folder), record])
    with closing(MilvusVectorStore.build(place, name, vectors, policy=policy)) as held:
        if (count := held.count()) != len(vectors):
            raise LibraryError(
                f"The vector store {place.location} took {count:,} of {len(vectors):,} vectors."
            )
        return _described(held, record)


def _described(store: VectorStore, record: Record) -> dict[str, Any]:
    return {
        "index": {"type": store.kind, "metric": "inner product", "dim": store.dim},
        "vectors": record,
    }


def open_store(folder: Path, described: Mapping[str, Any]) -> VectorStore:
    """The store that holds the vectors of the library in ``folder`` with the manifest ``described``.

    A collection is looked for where ``VECTOR_STORE`` points, which also has the secrets, and then where it was
    written. Raises :class:`LibraryError` when it is in neither place or does not hold all rows.
    """
    record = described.get("vectors", {"store": "faiss"})
    if record["store"] == "faiss":
        from mlcore.retrieval.vectors.on_faiss import FaissVectorStore

        return FaissVectorStore.load(folder / FAISS_FILE)
    from mlcore.retrieval.vectors.on_milvus import MilvusVectorStore

    problems = []
    for place in _places(record):
        try:
            store = MilvusVectorStore.open(place, record["collection"])
        except LibraryError as fault:
            problems.append(str(fault))
            continue
        if (count := store.count()) == described["rows"]:
            return store
        store.close()
        problems.append(
            f"The collection {record['collection']} in {place.location} holds {count:,} rows, the manifest says "
            f"{described['rows']:,}."
        )
    raise LibraryError(f"The vectors of the library in {folder} cannot be used. {' '.join(problems)}")


def drop(folder: Path) -> None:
    """Drop what the library folder ``folder`` (finished or under construction) has outside of itself: its collections.

    To be called before the folder is deleted. Nothing happens where the vectors lie in the folder, where there is no
    folder, or where the collections are gone already. :class:`LibraryError` when a vector store cannot be reached;
    the folder should then stay, since nothing else knows their names.
    """
    _drop([*_own(folder), *_read_ledger(folder)])


def succeed(folder: Path, target: Path) -> None:
    """Write into ``folder``, which is to replace ``target``, the collections that are to be dropped after that."""
    own = _own(folder)
    going = [*_read_ledger(folder), *_own(target), *_read_ledger(target)]
    _write_ledger(folder, [record for record in going if record not in own])


def drop_replaced(folder: Path, *, wait: float | None = None) -> None:
    """Drop the collections that the library in ``folder`` has replaced, ``wait`` (:data:`GRACE_SECONDS`) from now.

    A store that cannot be reached leaves them on the list for the next build.
    """
    going = _read_ledger(folder)
    if not going:
        return
    time.sleep(GRACE_SECONDS if wait is None else wait)
    with suppress(LibraryError):
        _drop(going)
        (folder / LEDGER).unlink(missing_ok=True)


def _drop(records: Iterable[Record]) -> None:
    for record in records:
        places = _places(record)
        for number, place in enumerate(places):
            if place.file is not None and not place.file.exists():
                continue  # a file that is gone took its collections with it
            try:
                with connection(place) as client:
                    if client.has_collection(record["collection"], timeout=REQUEST_SECONDS):
                        client.drop_collection(record["collection"], timeout=REQUEST_SECONDS)
                        break
            except LibraryError:
                if number == len(places) - 1:
                    raise


def _places(record: Mapping[str, str]) -> list[MilvusPlace]:
    """Where the collection of ``record`` may be: where the environment points, then where it was written."""
    try:
        named, written = read_place(), read_place(record["location"])
    except InputError as fault:
        raise LibraryError(str(fault)) from fault
    places = [place for place in (named, written) if place is not None]
    return places[:1] if len({place.location for place in places}) == 1 else places


def _own(folder: Path) -> list[Record]:
    """The collection that the manifest of ``folder`` names, if it does."""
    try:
        described = json.loads((folder / manifest.NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    record = described.get("vectors", {}) if isinstance(described, dict) else {}
    return [record] if record.get("store") == "milvus" else []


def _read_ledger(folder: Path) -> list[Record]:
    try:
        return json.loads((folder / LEDGER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _write_ledger(folder: Path, records: list[Record]) -> None:
    path = folder / LEDGER
    if not records:
        path.unlink(missing_ok=True)
        return
    draft = folder / f"{LEDGER}.draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(records, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
