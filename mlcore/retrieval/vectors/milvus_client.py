"""Connections to Milvus: made when first needed, shared by the stores of one place, closed with the last of them.

``pymilvus`` is imported here and only here, when a connection is made. Milvus Lite serves the same protocol from a
thread of this process and locks its file, so the last store of a place must let go of it for others to have it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlcore.retrieval.vectors.milvus_place import VARIABLE, MilvusPlace
from mlcore.runtime.errors import LibraryError

#: how long connecting, and one request that changes or asks something, may take
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 120.0
_INSTALL = "Install it: pip install 'ferry[milvus]'"

_open: dict[MilvusPlace, list[Any]] = {}  # client, number of users
_lock = threading.RLock()  # a store that is collected while another connects gives its connection back


def connect(place: MilvusPlace, *, create: bool = False) -> Any:
    """A ``pymilvus.MilvusClient`` of ``place``, to be given back by :func:`release`.

    With ``create`` a file of Milvus Lite is made where there is none. Raises :class:`LibraryError` when the client is
    not installed or nothing answers.
    """
    with _lock:
        if place not in _open:
            _open[place] = [_connected(place, create), 0]
        _open[place][1] += 1
        return _open[place][0]


def release(place: MilvusPlace) -> None:
    """Give back one :func:`connect`; with the last one the connection is closed."""
    with _lock:
        held = _open.get(place)
        if held is None:
            return
        held[1] -= 1
        if held[1] > 0:
            return
        del _open[place]
        with suppress(Exception):  # at the end of the process half of the client may be gone already
            held[0].close()
            if place.file is not None:
                importlib.import_module("milvus_lite").server_manager_instance.release_server(str(place.file))


@contextmanager
def connection(place: MilvusPlace, *, create: bool = False) -> Iterator[Any]:
    """A client for the time of a ``with`` block, its faults told as :class:`LibraryError`."""
    client = connect(place, create=create)
    try:
        with faults(place):
            yield client
    finally:
        release(place)


@contextmanager
def faults(place: MilvusPlace) -> Iterator[None]:
    """Turn what ``pymilvus`` raises into a :class:`LibraryError` that names the place."""
    exception = importlib.import_module("pymilvus").MilvusException
    try:
        yield
    except exception as fault:
        raise LibraryError(
            f"The vector store {place.location} did not do what was asked: {fault.message}"
        ) from fault


def _connected(place: MilvusPlace, create: bool) -> Any:
    pymilvus = _imported(
        "pymilvus", f"The vector store {place.location} needs the client of Milvus. {_INSTALL}"
    )
    if place.file is not None:
        importlib.import_module(
            "torch"
        )  # Milvus Lite brings FAISS: torch's OpenMP must be there before that one's
        _imported(
            "milvus_lite",
            f"The vector store {place.location} is a file of Milvus Lite. {_INSTALL} milvus-lite",
        )
        if create:
            place.file.parent.mkdir(parents=True, exist_ok=True)
        elif not place.file.exists():
            raise LibraryError(
                f"The vector store {place.location} is not there. Restore it, or rebuild the library."
            )
    try:
        return pymilvus.MilvusClient(
            place.uri, token=place.token, db_name=place.database, timeout=CONNECT_SECONDS, dedicated=True
        )
    except pymilvus.MilvusException as fault:
        if place.file is not None:
            raise LibraryError(
                f"The vector store {place.location} cannot be opened; most likely another process holds it. Milvus "
                f"Lite serves one process: for several, run 'milvus-lite server --data-dir {place.file} --port 19530' "
                f"and set {VARIABLE}=milvus://127.0.0.1:19530."
            ) from fault
        raise LibraryError(
            f"The vector store {place.location} cannot be reached: {fault.message}. Check that Milvus runs there and "
            f"that {VARIABLE} has the right address, user and password."
        ) from fault


def _imported(name: str, message: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        raise LibraryError(f"{message} (then start again).") from fault
