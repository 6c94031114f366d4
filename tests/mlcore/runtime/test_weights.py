"""int8 weights and checkpoints: bounded error, shards, and a kill at any moment."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mlcore.runtime import checkpoint, weights


def test_int8_error_is_half_a_step_a_row() -> None:
    matrix = torch.randn(64, 128) * torch.logspace(-3, 2, 64).unsqueeze(1)
    back = weights.dequantise(weights.quantise({"m": matrix}))["m"]
    step = matrix.abs().amax(1, keepdim=True) / 127
    assert ((back - matrix).abs() <= 0.51 * step + 1e-6).all()


def test_small_and_whole_numbers_stay() -> None:
    stored = weights.quantise({"bias": torch.ones(8), "count": torch.tensor([3])})
    assert stored["bias"].dtype == torch.float16
    assert weights.dequantise(stored)["count"].item() == 3


def test_large_models_are_cut_into_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", 20_000)
    made = {f"layer{i}": torch.randn(100, 100) for i in range(5)}
    weights.save_folder(tmp_path, made, {"a": 1}, {"name": "x"})
    shards = list(tmp_path.glob("model-*.safetensors"))
    assert len(shards) == 5
    loaded, config, card = weights.load_folder(tmp_path)
    assert set(loaded) == set(made)
    assert config == {"a": 1}
    assert card["name"] == "x"


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer.zero_grad()
    model(torch.randn(4, 3)).pow(2).sum().backward()
    optimizer.step()


def test_resuming_gives_the_same_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, optimizer, 1)
    checkpoint.save(tmp_path, model, {"o": optimizer}, {"seen": torch.arange(3)}, {"step": 1})
    step(model, optimizer, 2)
    other = nn.Linear(3, 2)
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    meta, extra = checkpoint.load(tmp_path, other, {"o": again})
    step(other, again, 2)
    assert meta["step"] == 1
    assert extra["seen"].tolist() == [0, 1, 2]
    assert torch.equal(other.weight, model.weight)


def test_a_kill_while_saving_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    checkpoint.save(tmp_path, model, {"o": optimizer}, {}, {"step": 1})
    before = model.weight.clone()
    step(model, optimizer, 2)
    monkeypatch.setattr(checkpoint, "_META", "elsewhere.json")  # dies before the JSON names the new tensors
    checkpoint.save(tmp_path / "other", model, {"o": optimizer}, {}, {"step": 2})
    monkeypatch.undo()
    (tmp_path / "state.safetensors.2.part").write_bytes(b"half")
    checkpoint.load(tmp_path, model, {"o": optimizer})
    assert torch.equal(model.weight, before)
