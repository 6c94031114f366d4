"""Transfer Q* against ARGS, controlled decoding, best-of-N and plain sampling, towards a reward of molecules.

    python -m benchmarks.transfer --pairs chebi-20/validation.tsv.gz --prompts 300 --reward qed
    python -m benchmarks.transfer --pairs chebi-20/validation.tsv.gz --prompts 300 --reward match

Every method answers the same descriptions with a SMILES. ``qed`` is drug-likeness, with synthetic accessibility as the
held-out second reward; ``match`` is the search model's score of text and molecule, with the Tanimoto similarity to the
molecule that the text describes as the second, which no method sees. The reward is standardised on samples of the SFT
model to other descriptions, so that alpha is in their standard deviations. "Generated" counts all tokens a prompt
costs, looked ahead or emitted; the rows marked = are best-of-N with about the tokens of Transfer Q*. Means over prompts
with 95 % bootstrap intervals; differences to Transfer Q* are paired. The frontier takes best-of-N for every N from one
pool of samples, and Transfer Q* for several alpha; KL is from the model that the method samples.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcore.decoding import autoregressive
from mlcore.decoding.events import Done, Event
from mlcore.decoding.guidance import guided, transfer_q
from mlcore.decoding.guidance.kl import best_of_bound
from mlcore.decoding.guidance.lookahead import GuidedCounts
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.language import prompts
from mlcore.decoding.networks.checkpoints import Loaded, load
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.rewards import QED, Reward, Similarity, SyntheticAccessibility, TextMatch, standardise
from mlcore.decoding.sampling import Sampling
from mlcore.retrieval.data import Row, read_table

REFERENCES = 64  # descriptions whose samples standardise the reward
POOL = 64  # samples of each prompt for best-of-N
DRAWS = 2000


@dataclass
class Cell:
    """One answer: reward (standardised), second reward, KL from what is sampled, and tokens generated."""

    reward: float
    second: float
    kl: float
    tokens: int


@dataclass
class Task:
    """One description with its rewards."""

    ids: list[int]
    reward: Reward
    second: Reward


Method = Callable[[Task, int], Cell]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sft", type=Path, default=Path("models/lm-target"))
    parser.add_argument("--aligned", type=Path, default=Path("models/lm-aligned"))
    parser.add_argument("--retrieval", type=Path, default=Path("models/retrieval"))
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--reward", choices=("qed", "match"), default="qed")
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--alpha", type=float, default=0.3)
    parser.add_argument("--alphas", type=float, nargs="*", default=[0.1, 1.0, 3.0])
    parser.add_argument("--frontier", type=int, default=100, help="prompts of the frontier's further alphas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sft, aligned = load(args.sft), load(args.aligned)
    table = read_table(args.pairs)
    places = np.linspace(0, len(table) - 1, args.prompts + REFERENCES).astype(int)
    rows = [table[number] for number in np.random.default_rng(0).permutation(places)]
    tasks = list(make_tasks(args.reward, args.retrieval, sft, rows, args.tokens))
    setting = TransferQ(
        alpha=args.alpha, candidates=args.candidates, rollouts=args.rollouts, block=args.block
    )
    sampling = Sampling(max_tokens=args.tokens)
    methods = make_methods(sft, aligned, sampling, setting)
    cells: dict[str, list[Cell]] = {}
    begun = time.monotonic()
    for name, method in methods.items():
        cells[name] = [method(task, number) for number, task in enumerate(tasks)]
        seconds = time.monotonic() - begun
        print(
            f"{name}: reward {np.mean([c.reward for c in cells[name]]):.3f} after {seconds:.0f} s", flush=True
        )
    pools = {
        model.name: [pool(model, task, sampling, n) for n, task in enumerate(tasks)]
        for model in (sft, aligned)
    }
    budget = float(np.mean([cell.tokens for cell in cells["Transfer Q*"]]))
    for model in (sft, aligned):
        each = float(np.mean([cell.tokens for own in pools[model.name] for cell in own]))
        size = max(1, min(POOL, round(budget / each)))
        cells[f"= best of {size}, {model.name}"] = [best(own, size) for own in pools[model.name]]
    found: dict[str, Any] = {"rows": [], "frontier": []}
    print("all methods")
    for name, own in cells.items():
        found["rows"].append(row_of(name, own, cells["Transfer Q*"]))
        print(line(found["rows"][-1]), flush=True)
    print("frontier")
    some = tasks[: args.frontier]
    frontier: dict[str, list[Cell]] = {}
    for size in (1, 2, 4, 8, 16, 32, 64):
        frontier[f"best of {size}, {aligned.name}"] = [
            best(own, size) for own in pools[aligned.name][: args.frontier]
        ]
    for alpha in args.alphas:
        method = make_methods(sft, aligned, sampling, replace(setting, alpha=alpha))["Transfer Q*"]
        frontier[f"Transfer Q*, alpha {alpha}"] = [method(task, number) for number, task in enumerate(some)]
    frontier[f"Transfer Q*, alpha {args.alpha}"] = cells["Transfer Q*"][: args.frontier]
    for name, own in frontier.items():
        found["frontier"].append(row_of(name, own, frontier[f"Transfer Q*, alpha {args.alpha}"]))
        print(line(found["frontier"][-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


def make_tasks(kind: str, retrieval: Path, sft: Loaded, rows: Sequence[Row], tokens: int) -> Iterator[Task]:
    """The first rows standardise the reward, the others are asked."""
    asked = [prompts.prompt(sft.tokenizer, "molecule", row.description) for row in rows]
    sampling = Sampling(max_tokens=tokens)
    events = autoregressive.generate(sft.decoder, asked[:REFERENCES], sampling, Seeded(12345))
    answers = {e.row: prompts.answer(sft.tokenizer, e.tokens) for e in events if isinstance(e, Done)}
    texts = [answers[place] for place in range(REFERENCES)]
    model = None
    if kind == "match":
        from mlcore.retrieval.model import RetrievalModel

        model = RetrievalModel.load(retrieval)
    plain = standardise(QED(), texts)
    scores = []
    if model is not None:
        scores = [
            float(TextMatch(row.description, model)([text])[0])
            for row, text in zip(rows, texts, strict=False)
        ]
    for row, ids in zip(rows[REFERENCES:], asked[REFERENCES:], strict=True):
        if len(ids) + tokens > sft.decoder.context:
            continue
        if model is None:
            yield Task(ids, plain, SyntheticAccessibility())
        else:
            scaled = replace(
                plain,
                reward=TextMatch(row.description, model),
                mean=float(np.mean(scores)),
                std=float(np.std(scores)),
            )
            yield Task(ids, scaled, Similarity(row.smiles))


def make_methods(sft: Loaded, aligned: Loaded, sampling: Sampling, setting: TransferQ) -> dict[str, Method]:
    """The methods by name; those that look ahead have the same candidates, rollouts and blocks."""

    def decode(ids: Sequence[int]) -> str:
        return prompts.answer(sft.tokenizer, ids)

    def act(start: Callable[[Task, int], Iterator[Event]]) -> Method:
        return lambda task, seed: cell_of(start(task, seed), task, decode)

    def args_start(task: Task, seed: int) -> Iterator[Event]:
        single = replace(setting, block=1, candidates=10)
        return guided.args(sft.decoder, [task.ids], sampling, single, task.reward, decode, Seeded(seed))

    return {
        "plain, SFT": act(
            lambda task, seed: autoregressive.generate(sft.decoder, [task.ids], sampling, Seeded(seed))
        ),
        "plain, aligned": act(
            lambda task, seed: autoregressive.generate(aligned.decoder, [task.ids], sampling, Seeded(seed))
        ),
        "ARGS": act(args_start),
        "controlled decoding": act(
            lambda task, seed: guided.controlled(
                sft.decoder, [task.ids], sampling, setting, task.reward, decode, Seeded(seed)
            )
        ),
        "Transfer Q*": act(
            lambda task, seed: transfer_q.generate(
                aligned.decoder, [task.ids], sampling, setting, task.reward, decode, Seeded(seed)
            )
        ),
    }


def cell_of(events: Iterator[Event], task: Task, decode: Callable[[Sequence[int]], str]) -> Cell:
    done = next(event for event in events if isinstance(event, Done))
    text = decode(done.tokens)
    counts = done.counts
    return Cell(
        float(task.reward([text])[0]),
        float(task.second([text])[0]),
        counts.from_reference.divergence if isinstance(counts, GuidedCounts) else 0.0,
        counts.emitted + counts.rollouts,
    )


def pool(model: Loaded, task: Task, sampling: Sampling, seed: int) -> list[Cell]:
    """Samples of one model to one prompt."""
    events = autoregressive.generate(model.decoder, [task.ids] * POOL, sampling, Seeded(1000 + seed))
    done = [event for event in events if isinstance(event, Done)]
    done.sort(
        key=lambda event: event.row
    )  # they end by length, which would make the first of them the short ones
    texts = [prompts.answer(model.tokenizer, event.tokens) for event in done]
    scores = zip(task.reward(texts).tolist(), task.second(texts).tolist(), done, strict=True)
    return [Cell(reward, second, 0.0, event.counts.emitted) for reward, second, event in scores]


def best(own: list[Cell], size: int) -> Cell:
    chosen = max(own[:size], key=lambda cell: cell.reward)
    return replace(chosen, kl=best_of_bound(size), tokens=sum(cell.tokens for cell in own[:size]))


def row_of(name: str, own: list[Cell], reference: list[Cell]) -> dict[str, Any]:
    """Means with bootstrap intervals, and the paired difference of the reference's reward to this one's."""
    draws = np.random.default_rng(0).integers(0, len(own), (DRAWS, len(own)))
    reward, second = np.array([c.reward for c in own]), np.array([c.second for c in own])
    ahead = np.array([c.reward for c in reference]) - reward
    return {
        "method": name,
        "prompts": len(own),
        "reward": float(reward.mean()),
        "reward_ci95": np.percentile(reward[draws].mean(1), [2.5, 97.5]).tolist(),
        "second": float(second.mean()),
        "second_ci95": np.percentile(second[draws].mean(1), [2.5, 97.5]).tolist(),
        "kl": float(np.mean([c.kl for c in own])),
        "tokens": float(np.mean([c.tokens for c in own])),
        "transfer_q_ahead": float(ahead.mean()),
        "transfer_q_ahead_ci95": np.percentile(ahead[draws].mean(1), [2.5, 97.5]).tolist(),
    }


def line(row: dict[str, Any]) -> str:
    low, high = row["reward_ci95"]
    ahead = row["transfer_q_ahead_ci95"]
    return (
        f"{row['method']:34} reward {row['reward']:6.3f} ({low:.3f} to {high:.3f})  second {row['second']:.3f} "
        f"({row['second_ci95'][0]:.3f} to {row['second_ci95'][1]:.3f})  KL {row['kl']:6.2f}  "
        f"generated {row['tokens']:8.0f}  Transfer Q* ahead by {row['transfer_q_ahead']:+.3f} "
        f"({ahead[0]:+.3f} to {ahead[1]:+.3f})"
    )


if __name__ == "__main__":
    main()
