"""The address of a Milvus, as ``VECTOR_STORE`` gives it.

======================================================  ==========================================================
value                                                   the vectors lie in
======================================================  ==========================================================
empty                                                   a FAISS file in the library folder
``milvus:///path/to/file.db``                           Milvus Lite: that file, one process at a time
``milvus://host[:19530][/database][?tls=true]``         a Milvus server
``milvus://user:password@host``, ``milvus://token@host``  the same, with what it asks for
======================================================  ==========================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from mlcore.runtime.errors import InputError

VARIABLE = "VECTOR_STORE"
_PORT = 19530
_REMEDY = "Use milvus:///path/to/file.db or milvus://[user:password@]host[:port][/database][?tls=true]."


@dataclass(frozen=True)
class MilvusPlace:
    """Where a Milvus is: ``location`` is its address without secrets and may be written down."""

    location: str
    token: str = field(default="", repr=False)

    @property
    def file(self) -> Path | None:
        """The file of Milvus Lite, None for a server."""
        parts = urlsplit(self.location)
        return None if parts.netloc else Path(unquote(parts.path))

    @property
    def uri(self) -> str:
        """What the client connects to: a file or ``http(s)://host:port``."""
        if self.file is not None:
            return str(self.file)
        parts = urlsplit(self.location)
        return f"{'https' if parts.query else 'http'}://{parts.netloc}"

    @property
    def database(self) -> str:
        """The database on the server, empty for its default one."""
        return "" if self.file is not None else unquote(urlsplit(self.location).path.strip("/"))


def read_place(value: str | None = None) -> MilvusPlace | None:
    """The Milvus that ``value`` names (None: the environment's ``VECTOR_STORE``); None where it is empty: FAISS.

    Raises :class:`InputError` for anything that is no such address. The message never repeats the value, which
    may hold a password.
    """
    text = (os.environ.get(VARIABLE, "") if value is None else value).strip()
    if not text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port or _PORT
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as fault:
        raise _misread("its port or what follows the question mark cannot be read") from fault
    if parts.scheme != "milvus":
        raise _misread("it does not begin with milvus://")
    if not parts.netloc:
        return _lite(parts.path, parts.query)
    if not parts.hostname:
        raise _misread("it names no host")
    tls = options.pop("tls", ["false"])[-1].lower()
    if options or tls not in ("true", "false") or parts.fragment or parts.path.count("/") > 1:
        raise _misread("after the host only /database and ?tls=true may follow")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    location = f"milvus://{host}:{port}{parts.path.rstrip('/')}{'?tls=true' if tls == 'true' else ''}"
    words = [unquote(word) for word in (parts.username, parts.password) if word]
    return MilvusPlace(location, ":".join(words))


def _lite(path: str, query: str) -> MilvusPlace:
    if not path.endswith(".db") or query:
        raise _misread("the file of Milvus Lite is an absolute path that ends in .db")
    return MilvusPlace(f"milvus://{path}")


def _misread(why: str) -> InputError:
    return InputError(f"{VARIABLE} cannot be used: {why}.", field=VARIABLE, remedy=_REMEDY)
