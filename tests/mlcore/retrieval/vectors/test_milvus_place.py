"""The address of a Milvus, and what is said when it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlcore.retrieval.vectors import milvus_client
from mlcore.retrieval.vectors.milvus_place import MilvusPlace, read_place
from mlcore.runtime.errors import InputError, LibraryError


@pytest.mark.parametrize(
    ("value", "location", "uri", "token", "database"),
    [
        ("milvus://host", "milvus://host:19530", "http://host:19530", "", ""),
        ("milvus://host:1/db?tls=true", "milvus://host:1/db?tls=true", "https://host:1", "", "db"),
        ("milvus://u:p%40ss@host/", "milvus://host:19530", "http://host:19530", "u:p@ss", ""),
        ("milvus://token@host?tls=false", "milvus://host:19530", "http://host:19530", "token", ""),
        ("milvus://[::1]:5", "milvus://[::1]:5", "http://[::1]:5", "", ""),
        ("milvus:///srv/a%20b.db", "milvus:///srv/a%20b.db", "/srv/a b.db", "", ""),
    ],
)
def test_addresses(value: str, location: str, uri: str, token: str, database: str) -> None:
    place = read_place(value)
    assert place is not None
    assert (place.location, place.uri, place.token, place.database) == (location, uri, token, database)
    assert read_place(place.location) == MilvusPlace(location), "what is written down can be read again"
    assert token == "" or token not in f"{place!r} {place.location}"


def test_empty_means_faiss_and_none_means_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTOR_STORE", "milvus://host")
    assert read_place("") is None
    assert read_place() == MilvusPlace("milvus://host:19530")
    monkeypatch.delenv("VECTOR_STORE")
    assert read_place() is None


@pytest.mark.parametrize(
    "value",
    [
        "postgres://u:secret@host",
        "milvus://u:secret@host:port",
        "milvus://u:secret@host/a/b",
        "milvus://u:secret@host?tls=maybe",
        "milvus://u:secret@host?other=1",
        "milvus://u:secret@",
        "milvus:///secret.sqlite",
        "secret.db",
    ],
)
def test_what_is_no_address_is_refused_without_telling_secrets(value: str) -> None:
    with pytest.raises(InputError, match=r"VECTOR_STORE cannot be used: .*Use milvus://") as fault:
        read_place(value)
    assert "secret" not in str(fault.value)


def test_a_missing_client_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(LibraryError, match=r"pip install 'ferry\[milvus\]'"):
        milvus_client.connect(MilvusPlace("milvus://host:19530"))
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "milvus_lite", None)
    with pytest.raises(LibraryError, match=r"file of Milvus Lite.* milvus-lite"):
        milvus_client.connect(MilvusPlace(f"milvus://{tmp_path}/a.db"), create=True)


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_client, "CONNECT_SECONDS", 0.5)
    with pytest.raises(LibraryError, match=r"milvus://127\.0\.0\.1:9 cannot be reached.*VECTOR_STORE"):
        milvus_client.connect(MilvusPlace("milvus://127.0.0.1:9", "root:secret"))


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="is not there"):
        milvus_client.connect(MilvusPlace(f"milvus://{tmp_path}/a.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_holds(tmp_path: Path) -> None:
    """Free again as soon as that one has let go of it."""
    place = MilvusPlace(f"milvus://{tmp_path}/a.db")
    holder = (
        "import sys; from mlcore.retrieval.vectors import milvus_client, milvus_place\n"
        "place = milvus_place.MilvusPlace(sys.argv[1])\n"
        "milvus_client.connect(place, create=True); print('held', flush=True); sys.stdin.readline()\n"
        "milvus_client.release(place); print('free', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, place.location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LibraryError, match=r"another process holds it.*milvus-lite server --data-dir"):
            milvus_client.connect(place)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "free\n"
        with milvus_client.connection(place) as client:
            assert client.list_collections() == []
        process.stdin.write("\n")


def test_the_client_is_imported_only_where_it_is_used() -> None:
    code = (
        "import sys; import mlcore.retrieval.library, mlcore.retrieval.vectors.on_milvus\n"
        "assert not {'pymilvus', 'milvus_lite', 'grpc'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    light = (
        "import sys; import mlcore.retrieval.vectors.placement\n"
        "assert not {'torch', 'faiss', 'rdkit'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", light], check=True)
