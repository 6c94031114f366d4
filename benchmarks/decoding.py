"""Decoding methods on the shipped pair of language models: tokens per target call and wall clock, in one run.

    python -m benchmarks.decoding --pairs chebi-20/validation.tsv.gz --prompts 40 --threads 2

Temperature 1, top-p 1, batch size 1; half of the prompts ask for a molecule, half for a description. Every prompt is
answered by every method in turn, so that all of them see the same machine. Columns: tokens (answers differ in length:
rates are over sums), tokens per target call, acceptance per tested position, tokens a second with the reading of the
prompt, and that over the plain row with a 95 % bootstrap interval over prompts. ``--peers`` adds ``transformers``'
``generate``, plain and assisted, on the same checkpoints. Below: what a call of the target costs against the tokens it
scores with the bytes of weights that it has to move, the choice of K and L made from measured costs, and the time to
the first streamed token.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcore.decoding import autoregressive, schedule, spectr, speculative
from mlcore.decoding.events import Done, Emitted, Event
from mlcore.decoding.language import prompts
from mlcore.decoding.networks.checkpoints import Loaded, load
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.retrieval.data import read_table
from mlcore.runtime.device import choose

WIDTHS, LENGTHS = (1, 2, 4, 8), (2, 4, 8)
Method = Callable[[list[int], int], "Sample"]


@dataclass
class Sample:
    """One answer: tokens, target calls, positions tested and passed, seconds."""

    tokens: int
    calls: int
    reached: int
    passed: int
    seconds: float


@dataclass
class Table:
    """Samples by method, in the order of the methods."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, name: str, sample: Sample) -> None:
        self.samples.setdefault(name, []).append(sample)

    def rows(self, base: str) -> Iterator[dict[str, Any]]:
        random = np.random.default_rng(0)
        count = len(self.samples[base])
        draws = random.integers(0, count, (2000, count))
        plain = _rates(self.samples[base], draws)
        for name, samples in self.samples.items():
            rates = _rates(samples, draws) / plain
            calls, reached = sum(s.calls for s in samples), sum(s.reached for s in samples)
            tokens, seconds = sum(s.tokens for s in samples), sum(s.seconds for s in samples)
            yield {
                "method": name,
                "tokens": tokens,
                "tokens_per_call": tokens / calls if calls else None,
                "acceptance": sum(s.passed for s in samples) / reached if reached else None,
                "tokens_per_second": tokens / seconds,
                "speedup": float(rates[0]),
                "interval": [float(value) for value in np.percentile(rates[1:], [2.5, 97.5])],
            }


def _rates(samples: list[Sample], draws: np.ndarray) -> np.ndarray:
    """Tokens a second of all samples, then of every bootstrap draw."""
    tokens = np.array([s.tokens for s in samples], dtype=float)
    seconds = np.array([s.seconds for s in samples])
    return np.concatenate([[tokens.sum() / seconds.sum()], tokens[draws].sum(1) / seconds[draws].sum(1)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/lm-target"))
    parser.add_argument("--draft", type=Path, default=Path("models/lm-draft"))
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--layout", choices=("batch", "tree"), default="batch")
    parser.add_argument("--peers", action="store_true", help="transformers' generate as well")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = choose(args.device)
    target, draft = load(args.model, device=device), load(args.draft, device=device)
    asked = chosen_prompts(target, args.pairs, args.prompts)
    sampling = Sampling(max_tokens=args.tokens)
    methods = ours(target, draft, sampling, args.layout)
    if args.peers:
        methods |= peers(target, draft, args.tokens)
    auto = schedule.choose(
        target.decoder, draft.decoder, asked[0], sampling, widths=WIDTHS, longest=12, tokens=128
    )
    methods[f"chosen: K={auto.drafting.drafts}, L={auto.drafting.length}"] = _chosen(
        target, draft, sampling, auto
    )
    table = Table()
    for method in methods.values():  # nothing is measured cold
        method(asked[0], 0)
    for number, prompt in enumerate(asked):
        for name, method in methods.items():
            table.add(name, method(prompt, number))
        print(f"\r{number + 1} of {len(asked)} prompts", end="", flush=True)
    print()
    rows = list(table.rows("plain"))
    for row in rows:
        print(_line(row))
    costs = call_costs(target, draft)
    first = first_token(target, draft, sampling, asked)
    print(f"first streamed token: p50 {first * 1e3:.0f} ms")
    if args.json:
        found = {
            "rows": rows,
            "costs": costs,
            "first_token_p50": first,
            "device": device,
            "threads": args.threads,
        }
        args.json.write_text(json.dumps(found, indent=1) + "\n")


def chosen_prompts(target: Loaded, pairs: Path, count: int) -> list[list[int]]:
    """Prompts of both tasks from rows spread over the table, those that leave room for an answer."""
    table = read_table(pairs)
    rows = [table[number] for number in np.linspace(0, len(table) - 1, count).astype(int)]
    tasks: tuple[prompts.Task, ...] = prompts.TASKS
    made = [
        prompts.prompt(target.tokenizer, task, row.description if task == "molecule" else row.smiles)
        for row, task in zip(rows, (tasks * count)[:count], strict=True)
    ]
    return [ids for ids in made if len(ids) < target.decoder.context // 2]


def ours(target: Loaded, draft: Loaded, sampling: Sampling, layout: str) -> dict[str, Method]:
    """Every method of this package by name."""
    slow, quick = target.decoder, draft.decoder
    methods: dict[str, Method] = {
        "plain": lambda ids, seed: measured(autoregressive.generate(slow, [ids], sampling, Seeded(seed)))
    }
    for length in (*LENGTHS, 6, 10):
        for rule in ("token", "block"):
            methods[f"one draft, {rule}, L={length}"] = lambda ids, seed, n=length, v=rule: measured(  # type: ignore[misc]
                speculative.generate(slow, quick, [ids], sampling, n, Seeded(seed), verification=v)
            )
    for length in LENGTHS:
        for width in WIDTHS:
            drafting = Drafting(drafts=width, length=length, layout=layout)
            methods[f"SpecTr, K={width}, L={length}"] = lambda ids, seed, d=drafting: measured(  # type: ignore[misc]
                spectr.generate(slow, quick, [ids], sampling, d, Seeded(seed))
            )
    return methods


def _chosen(target: Loaded, draft: Loaded, sampling: Sampling, choice: schedule.Choice) -> Method:
    one = choice.drafting.drafts == 1

    def act(ids: list[int], seed: int) -> Sample:
        slow, quick, source = target.decoder, draft.decoder, Seeded(seed)
        if one:
            return measured(
                speculative.generate(slow, quick, [ids], sampling, choice.drafting.length, source)
            )
        return measured(spectr.generate(slow, quick, [ids], sampling, choice.drafting, source))

    return act


def measured(events: Iterator[Event]) -> Sample:
    """Run a method to its end."""
    counts = next(event.counts for event in events if isinstance(event, Done))
    return Sample(
        counts.emitted, counts.target_calls, sum(counts.reached), sum(counts.passed), counts.seconds["total"]
    )


def peers(target: Loaded, draft: Loaded, tokens: int) -> dict[str, Method]:
    """``transformers``' ``generate`` on the same networks and the same law."""
    settings: dict[str, Any] = {
        "max_new_tokens": tokens,
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "eos_token_id": sorted(target.decoder.ends),
        "pad_token_id": target.tokenizer.pad_token_id,
    }
    helper: Any = draft.network
    helper.generation_config.num_assistant_tokens = 6
    helper.generation_config.num_assistant_tokens_schedule = "constant"
    helper.generation_config.assistant_confidence_threshold = 0.0

    def act(ids: list[int], seed: int, **more: Any) -> Sample:
        torch.manual_seed(seed)
        given = torch.tensor([ids], device=target.decoder.device)
        begun = time.perf_counter()
        network: Any = target.network
        out = network.generate(given, attention_mask=torch.ones_like(given), **settings, **more)
        return Sample(out.shape[1] - len(ids), 0, 0, 0, time.perf_counter() - begun)

    return {
        "transformers, plain": act,
        "transformers, assisted, L=6": lambda ids, seed: act(ids, seed, assistant_model=helper),
    }


def call_costs(target: Loaded, draft: Loaded) -> list[dict[str, float]]:
    """Seconds of one call against the tokens that it scores, behind 100 tokens."""
    floor = sum(weight.numel() * weight.element_size() for weight in target.network.parameters())
    alone = schedule.call_seconds(target.decoder, 1, 1, 100)
    small = schedule.call_seconds(draft.decoder, 1, 1, 100)
    print(
        f"one token: target {alone * 1e3:.2f} ms ({floor / 1e6:.1f} MB of weights), draft {small * 1e3:.2f} ms"
    )
    found = []
    for rows in WIDTHS:
        for width in (1, *(length + 1 for length in LENGTHS)):
            seconds = schedule.call_seconds(target.decoder, rows, width, 100)
            found.append({"rows": rows, "width": width, "seconds": seconds, "of_one_token": seconds / alone})
        shown = "  ".join(f"{one['width']}: {one['of_one_token']:.2f}" for one in found[-1 - len(LENGTHS) :])
        print(f"target call of {rows} rows, in calls of one token, by tokens a row:  {shown}")
    return found


def first_token(target: Loaded, draft: Loaded, sampling: Sampling, asked: list[list[int]]) -> float:
    """The median seconds from the question to the first token."""
    found = []
    for number, ids in enumerate(asked):
        begun = time.perf_counter()
        for event in speculative.generate(target.decoder, draft.decoder, [ids], sampling, 6, Seeded(number)):
            if isinstance(event, Emitted):
                break
        found.append(time.perf_counter() - begun)
    return float(np.median(found))


def _line(row: dict[str, Any]) -> str:
    per_call = f"{row['tokens_per_call']:.2f}" if row["tokens_per_call"] else "-"
    acceptance = f"{row['acceptance']:.3f}" if row["acceptance"] is not None else "-"
    low, high = row["interval"]
    return (
        f"{row['method']:32} {row['tokens']:7,d} tokens  {per_call:>5} a call  {acceptance:>5} accepted  "
        f"{row['tokens_per_second']:7.1f} tokens/s  {row['speedup']:5.2f} x ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
