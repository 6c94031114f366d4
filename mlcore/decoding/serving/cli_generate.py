"""``python -m mlcore generate --model DIR --method METHOD "prompt"``: decode, and say by what counts how fast."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.runtime.errors import InputError

if TYPE_CHECKING:
    from mlcore.decoding.serving.models import Models
    from mlcore.decoding.serving.requests import Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``generate``."""
    where = "the folder of a model, or with --download the id of one on the Hugging Face hub"
    parser.add_argument("prompt", help="what to answer; - reads it from standard input")
    parser.add_argument("--model", required=True, metavar="DIR", help=where)
    parser.add_argument(
        "--draft", metavar="DIR", help="the small model that drafts, with the same vocabulary"
    )
    parser.add_argument("--aligned", metavar="DIR", help="the model that was aligned to a reward")
    parser.add_argument(
        "--method", default="autoregressive", help="autoregressive (default), speculative, spectr, …"
    )
    parser.add_argument(
        "--task",
        default="molecule",
        help="molecule (default): for a text; description: of a SMILES; continue: any text",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the method or the sampling",
    )
    parser.add_argument("--reward", metavar="JSON", help='what to go for, as {"name": "qed"}')
    parser.add_argument("--retrieval", metavar="DIR", help="the model that a retrieval reward asks")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same answer (default: 0)")
    parser.add_argument(
        "--repeats", type=int, default=1, help="measure so often, for an interval of the speed"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--download", action="store_true", help="fetch a model from the hub where it is not here"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    """Decode and print."""
    from mlcore.decoding.serving.session import run as events_of

    request = _request(args)
    events = events_of(request, _models(args, request))
    found: dict[str, Any] = {}
    for event in events if args.json else _shown(events):
        found[event["event"]] = event
    if args.json:
        print(json.dumps(_answer(found), allow_nan=False))
    return 0


def _request(args: argparse.Namespace) -> Request:
    from mlcore.decoding.sampling import Sampling
    from mlcore.decoding.serving.methods import METHODS
    from mlcore.decoding.serving.requests import Request
    from mlcore.runtime.options import described

    method = METHODS.get(args.method)
    own = {each.name for each in method.parameters()} if method else set()
    common = {each.name for each in described(Sampling())}
    chosen: dict[str, dict[str, str]] = {"parameters": {}, "sampling": {}}
    for pair in args.set:
        name, equals, value = pair.partition("=")
        if not equals or (method and name not in own | common):
            raise InputError(
                f"'--set {pair}' sets nothing that {args.method} has.",
                field=name,
                remedy=f"Write NAME=VALUE with a name of {', '.join(sorted(own | common))}.",
            )
        chosen["parameters" if name in own else "sampling"][name] = value
    return Request.read(
        {
            "task": args.task,
            "prompt": sys.stdin.read() if args.prompt == "-" else args.prompt,
            "lanes": [{"method": args.method, "parameters": chosen["parameters"]}],
            "sampling": chosen["sampling"],
            "reward": _reward(args.reward),
            "seed": args.seed,
            "repeats": args.repeats,
        }
    )


def _reward(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError as fault:
        raise InputError(
            f"--reward is no JSON: {fault}.", field="reward", remedy='Write it as \'{"name": "qed"}\'.'
        ) from None


def _models(args: argparse.Namespace, request: Request) -> Models:
    from mlcore.decoding.networks.checkpoints import check_pair, load
    from mlcore.decoding.serving.models import Models
    from mlcore.runtime import device

    chosen = device.choose(args.device)
    target = load(args.model, device=chosen, download=args.download)
    others: dict[str, Any] = {}
    for slot in ("draft", "aligned"):
        place = getattr(args, slot)
        if place is None:
            continue
        others[slot] = load(place, device=chosen, download=args.download)
        check_pair(target, others[slot])
    needed = [slot for lane in request.lanes for slot in lane.method.needs if slot not in ("reward", *others)]
    if needed:
        raise InputError(
            f"{args.method} needs the model '{needed[0]}'.", field="method", remedy=f"Give --{needed[0]} DIR."
        )
    retrieval = None
    if args.retrieval:

        def retrieval() -> Any:
            from mlcore.retrieval.model import RetrievalModel

            return RetrievalModel.load(Path(args.retrieval))

    return Models(target, **others, retrieval=retrieval)


def _shown(events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """``events``, told on the terminal as they come."""
    for event in events:
        if event["event"] == "token":
            print(event["text"], end="", flush=True)
        elif event["event"] == "done":
            print()
            print("\n".join(_lines(event)))
        elif event["event"] == "closed":
            for row in event["comparison"]:
                print(row["sentence"])
        yield event


def _lines(done: dict[str, Any]) -> Iterator[str]:
    """Counts, and each rate with the formula that makes it from them."""
    yield f"ended by {done['reason']}"
    counts = done["counts"]
    told = [f"{name} {value}" for name, value in counts.items() if isinstance(value, int) and value]
    yield f"counts: {', '.join(told)}"
    yield f"seconds: {', '.join(f'{part} {value:.3f}' for part, value in counts['seconds'].items())}"
    for name, formula in done["formulae"].items():
        yield f"{name.replace('_', ' ')} = {formula} = {done['rates'][name]:.3g}"
    molecule = done["molecule"]
    if molecule is not None:
        facts = {
            name: value for name, value in molecule.items() if name not in ("smiles", "depiction", "reward")
        }
        yield ", ".join(f"{name} {_short(value)}" for name, value in facts.items() if value is not None)
    if done["reward"] is not None:
        yield f"reward {_short(done['reward'])}"
    if done["kl"]:
        yield f"KL from the target's law {_short(done['kl'])} nats"


def _short(value: Any) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else str(value).lower()
        if value in (True, False)
        else str(value)
    )


def _answer(found: dict[str, Any]) -> dict[str, Any]:
    """One object: what was opened, what came out, how fast it was."""
    opened, done = found["opened"], found["done"]
    kept: Sequence[str] = (
        "text",
        "reason",
        "counts",
        "rates",
        "formulae",
        "molecule",
        "reward",
        "kl",
        "parameters",
    )
    comparison = [{k: v for k, v in row.items() if k != "lane"} for row in found["closed"]["comparison"]]
    return {
        "method": opened["lanes"][0]["method"],
        **{name: done[name] for name in kept},
        "models": opened["models"],
        "prompt": opened["prompt"],
        "seed": opened["seed"],
        "comparison": comparison[0] if comparison else None,
    }
