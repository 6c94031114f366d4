"""A child may hang, crash or eat memory; its caller gets a sentence and the next call works."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox import Sandbox
from mlcore.runtime.sandbox_wire import LARGEST, PREFIX, pack, sizes, unpack

PROBE = "mlcore.runtime.sandbox_probe:"
READ = "mlcore.retrieval.inside.structures:read"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(workers=2)
    yield made
    made.close()


def test_values_and_bytes_come_back(sandbox: Sandbox) -> None:
    value = {"text": "naïve ☕", "numbers": [1, 2.5, None, True]}
    assert sandbox.call(f"{PROBE}echo", {"value": value})[0] == value


def test_a_hang_is_stopped_and_costs_only_the_child(sandbox: Sandbox) -> None:
    first, _ = sandbox.call(f"{PROBE}process", {})
    with pytest.raises(LimitError, match=r"longer than 0\.3 s") as caught:
        sandbox.call(f"{PROBE}sleep", {"seconds": 30}, seconds=0.3)
    assert caught.value.remedy
    second, _ = sandbox.call(f"{PROBE}process", {})
    assert second != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_crash_is_an_input_error_and_the_next_call_works(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="made the chemistry toolkit stop"):
        sandbox.call(f"{PROBE}crash", {})
    assert sandbox.call(READ, {"text": "CCO", "form": "smiles"})[0]["formula"] == "C2H6O"


def test_memory_is_limited(sandbox: Sandbox) -> None:
    with pytest.raises(LimitError, match="more memory"):
        sandbox.call(f"{PROBE}grow", {"megabytes": 3000})
    assert sandbox.call(f"{PROBE}grow", {"megabytes": 10})[0] == 10 * 1024 * 1024


def test_children_see_no_secrets_and_load_no_model_library(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://someone:secret@somewhere/db")
    fresh = Sandbox(workers=1)
    try:
        seen, _ = fresh.call(f"{PROBE}environment", {})
        loaded, _ = fresh.call(f"{PROBE}modules", {})
    finally:
        fresh.close()
    assert "DATABASE_URL" not in seen
    assert "rdkit" in loaded
    assert not {"torch", "faiss", "transformers", "django"} & set(loaded)


def test_only_functions_made_for_it_can_be_called(sandbox: Sandbox) -> None:
    for name in ("os:system", "mlcore.runtime.errors:InputError", "mlcore.retrieval.inside.structures:_raw"):
        with pytest.raises(RuntimeError, match="may not be called"):
            sandbox.call(name, {})


def test_many_threads_share_two_children() -> None:
    sandbox = Sandbox(workers=2)
    seen: list[tuple[int, str]] = []

    def work(length: int) -> None:
        seen.append((length, sandbox.call(READ, {"text": "C" * length, "form": "smiles"})[0]["formula"]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running, _ = sandbox.call(f"{PROBE}process", {})
    sandbox.close()
    assert sorted(seen) == [(n, f"C{n if n > 1 else ''}H{2 * n + 2}") for n in range(1, 17)]
    with pytest.raises(ProcessLookupError):
        os.kill(running, 0)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("CC(=O", "opened and never closed", "character 3"),
        ("C1CC", "ring is opened and never closed", None),
        ("CC(C)(C)(C)C", "C cannot have 5 bonds", "atom 2, C"),
        ("c1cccc1", "no double bonds can be placed", "atoms 1, 2, 3, 4, 5"),
        ("CC[Zz]", "does not follow the notation", "character 4"),
        ("cC", "outside a ring", "atom 1, C"),
    ],
)
def test_faults_name_reason_place_and_remedy(
    sandbox: Sandbox, text: str, message: str, place: str | None
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        sandbox.call(READ, {"text": text, "form": "smiles"})
    assert caught.value.place == place
    assert caught.value.remedy


def test_a_molecule_of_ten_thousand_atoms_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(LimitError, match="10,000 heavy atoms"):
        sandbox.call(READ, {"text": "C" * 10_000, "form": "smiles"})


def test_messages_survive_the_wire_and_sizes_are_checked() -> None:
    message = pack({"a": [1, "é"]}, b"\x00\xff")
    header, blob = sizes(message[: PREFIX.size])
    assert unpack(message[PREFIX.size :], header) == ({"a": [1, "é"]}, b"\x00\xff")
    assert blob == 2
    with pytest.raises(ValueError, match="larger"):
        sizes(PREFIX.pack(LARGEST, 1))
