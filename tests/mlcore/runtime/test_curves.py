"""A metrics file that a resumed run goes on with."""

from __future__ import annotations

import json
from pathlib import Path

from mlcore.runtime.curves import Curves


def test_what_a_resumed_run_will_say_again_is_cut(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "metrics.jsonl")
    for step, epoch in [(20, 0), (30, 0), (30, 1), (40, 1), (60, 1), (60, 2)]:
        curves.append(step, epoch, loss=step / 10)
    with curves.path.open("a") as handle:
        handle.write('{"step": 40, "epo')
    curves.cut(60, 1)
    kept = [json.loads(line) for line in curves.path.read_text().splitlines()]
    assert [(line["step"], line["epoch"], line["loss"]) for line in kept] == [
        (20, 0, 2.0), (30, 0, 3.0), (30, 1, 3.0), (40, 1, 4.0), (60, 1, 6.0),
    ]  # fmt: skip
    assert all(line["time"] > 1e9 for line in kept)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_run_from_the_start_has_no_past(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "metrics.jsonl")
    curves.cut(0, 0)
    assert not curves.path.exists()
    curves.append(20, 0)
    curves.cut(0, 0)
    assert curves.path.read_text() == ""
