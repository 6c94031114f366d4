"""Checkpoints on a disk that fills up, and what a kill leaves behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from mlcore.runtime import checkpoint

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save(folder: Path, step: int) -> nn.Module:
    torch.manual_seed(step)
    model = nn.Linear(3, 2)
    checkpoint.save(folder, model, {}, {}, {"step": step})
    return model


def restored(folder: Path) -> tuple[int, nn.Module]:
    model = nn.Linear(3, 2)
    return checkpoint.load(folder, model, {})[0]["step"], model


def full_while_writing_tensors(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def save_file(tensors: dict[str, Any], path: Path) -> None:
        path.write_bytes(b"as far as it went")
        path.with_name(".tmpAb12").write_bytes(b"safetensors' own")
        raise fault

    monkeypatch.setattr(checkpoint, "save_file", save_file)


def full_while_writing_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_text(path: Path, text: str) -> None:
        path.write_bytes(text.encode()[:5])
        raise FULL

    monkeypatch.setattr(Path, "write_text", write_text)


def full_while_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("when", ["tensors", "tensors in Rust", "quota", "json", "sync"])
def test_a_full_disk_leaves_the_last_checkpoint(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save(tmp_path, 1)
    kept = files(tmp_path)
    with monkeypatch.context() as patch:
        if when == "json":
            full_while_writing_json(patch)
        elif when == "sync":
            full_while_syncing(patch)
        else:
            rust = "Error while serializing: I/O error: No space left on device (os error 28)"
            quota = OSError(errno.EDQUOT, "quota")
            fault = {"tensors": FULL, "tensors in Rust": SafetensorError(rust), "quota": quota}[when]
            full_while_writing_tensors(patch, fault)
        with pytest.raises(checkpoint.DiskFull, match=r"step 2 .*state\.safetensors\.1, is intact") as caught:
            save(tmp_path, 2)
    assert caught.value.errno == errno.ENOSPC
    assert files(tmp_path) == kept
    step, model = restored(tmp_path)
    assert step == 1
    assert torch.equal(model.weight, before.weight)  # type: ignore[arg-type]
    save(tmp_path, 3)  # there is room again
    assert restored(tmp_path)[0] == 3


def test_a_full_disk_at_the_first_checkpoint_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_while_writing_tensors(monkeypatch, FULL)
    with pytest.raises(checkpoint.DiskFull, match="none before it"):
        save(tmp_path, 1)
    assert files(tmp_path) == []
    assert not checkpoint.exists(tmp_path)


@pytest.mark.parametrize(
    "fault",
    [PermissionError(errno.EACCES, "no"), SafetensorError("I/O error (os error 13)"), SafetensorError("?")],
)
def test_other_faults_are_not_called_a_full_disk(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_while_writing_tensors(monkeypatch, fault)
    with pytest.raises(type(fault)) as caught:
        save(tmp_path, 1)
    assert caught.value is fault


def test_what_a_kill_left_is_removed_by_the_next_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for name in (".tmp5y7P1K", "state.safetensors.2.part", "state.json.part", "state.safetensors.2"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("not ours")
    assert restored(tmp_path)[0] == 1
    save(tmp_path, 3)
    assert files(tmp_path) == ["notes.txt", "state.json", "state.safetensors.3"]


def test_tensors_are_on_the_disk_before_they_get_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        real_sync(handle)

    def replace(path: Path, target: Path) -> Path:
        done.append(f"name {target.name}")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    save(tmp_path, 7)
    place = f"sync {tmp_path.name}"
    assert done == [
        "sync state.safetensors.7.part", "name state.safetensors.7", place,
        "sync state.json.part", "name state.json", place,
    ]  # fmt: skip
