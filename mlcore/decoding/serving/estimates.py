"""What a request will need before anything is decoded: calls, memory, and the seconds by what one call takes here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from mlcore.decoding.guidance.options import check_guidance
from mlcore.decoding.networks.limits import check_memory
from mlcore.decoding.serving.methods import SpecTr, Speculative
from mlcore.decoding.serving.models import Models
from mlcore.decoding.serving.requests import Lane, Request, placed
from mlcore.runtime.errors import InputError, LimitError

#: share of drafted tokens that is taken to be accepted, as long as nothing is known
_ACCEPTED = 0.6
_MOST_ROWS = 256  # of one call that looks ahead
_USUAL = 64  # tokens of an answer that ends by itself


@dataclass(frozen=True)
class Calls:
    """``count`` calls of the model in ``slot``, each reading ``width`` tokens in each of ``rows`` rows."""

    slot: str
    count: float
    rows: int
    width: int = 1

    def seconds(self, models: Models) -> float:
        return self.count * models.seconds(self.slot, self.rows, self.width)


def estimate(request: Request, models: Models) -> dict[str, Any]:
    """``{"prompt_tokens", "answer_tokens", "lanes": [{"lane", "memory_bytes", "seconds", "seconds_at_most"}],
    "memory_bytes", "seconds", "seconds_at_most", "sentence"}``.

    ``seconds`` takes an answer of a usual length and a usual share of drafts to be accepted, ``seconds_at_most`` the
    longest answer and no accepted draft. Memory is that of keys and values.

    Raises:
        InputError, LimitError: what decoding would raise before its first token.
    """
    prompt = len(request.tokens(models.target.tokenizer))
    check(request, models, prompt)
    lanes = []
    for number, lane in enumerate(request.lanes):
        answer = room(request, lane, models, prompt)
        usual, most = (
            sum(each.seconds(models) for each in calls(lane, tokens, models, share))
            for tokens, share in ((min(answer, _USUAL), _ACCEPTED), (answer, 0.0))
        )
        facts = {"lane": number, "memory_bytes": memory(lane, prompt + answer, models)}
        lanes.append(facts | {"seconds": usual * request.repeats, "seconds_at_most": most * request.repeats})
    total = {name: sum(lane[name] for lane in lanes) for name in ("seconds", "seconds_at_most")}
    held = max(lane["memory_bytes"] for lane in lanes)
    longest = max(room(request, lane, models, prompt) for lane in request.lanes)
    told = (
        f"needs about {total['seconds']:.2g} s, at most {total['seconds_at_most']:.2g} s, "
        f"and {held / 2**20:,.0f} MiB for keys and values"
    )
    return {
        "prompt_tokens": prompt,
        "answer_tokens": longest,
        "lanes": lanes,
        "memory_bytes": held,
        **total,
        "sentence": told,
    }


def check(request: Request, models: Models, prompt: int) -> None:
    """Refuse what cannot be decoded, before anything is.

    Raises:
        InputError: a method needs a model that is not here, or parameters exclude each other.
        LimitError: a prompt beyond the context of a model, or more memory or work than is allowed.
    """
    for number, lane in enumerate(request.lanes):
        needed = [slot for slot in lane.method.needs if slot != "reward"]
        for slot in needed:
            if models.get(slot) is None:
                raise InputError(
                    f"{lane.method.title} needs the model '{slot}', and there is none.",
                    field=f"lanes.{number}.method",
                    remedy=models.faults.get(slot) or "Choose another method, or add the model.",
                )
        context = _context(lane, models)
        if prompt >= context:
            raise LimitError(
                f"The prompt has {prompt:,} tokens, and the models read {context:,} with the answer.",
                field="prompt",
                remedy="Shorten the prompt.",
            )
        try:
            _check_lane(request, lane, models, prompt)
        except InputError as fault:
            raise placed(fault, lane, number) from None


def room(request: Request, lane: Lane, models: Models, prompt: int) -> int:
    """The most tokens of the answer."""
    return min(request.sampling.max_tokens, _context(lane, models) - prompt)


def calls(lane: Lane, answer: int, models: Models, accepted: float) -> list[Calls]:
    """The calls for an ``answer`` of so many tokens, where a share ``accepted`` of the drafted ones stands."""
    options, name = lane.options, lane.method.name
    if isinstance(options, Speculative | SpecTr):
        drafts = options.drafts if isinstance(options, SpecTr) else 1
        length = options.length
        emitted = 1 + sum(accepted**level for level in range(1, length + 1))
        rounds = math.ceil(answer / emitted)
        return [Calls("draft", rounds * length, drafts), Calls("target", rounds, drafts, length + 1)]
    if name == "best_of":
        return [Calls("target", answer, options.n)]
    slot = "aligned" if "aligned" in lane.method.needs else "target"
    if "reward" not in lane.method.needs:
        return [Calls(slot, answer, 1)]
    if name == "args":
        return [Calls(slot, answer, 1)]
    states = math.ceil(answer / options.block)
    rows = (options.candidates or models.target.decoder.vocabulary) * options.rollouts
    ahead = answer / 2 if options.horizon < 0 else min(options.horizon, answer)
    batches = math.ceil(rows / _MOST_ROWS)
    return [
        Calls(slot, states, 1),
        Calls(slot, states * ahead * batches, min(rows, _MOST_ROWS)),
    ]


def memory(lane: Lane, length: int, models: Models) -> int:
    """Bytes of the keys and values of all caches."""
    return sum(_bytes(models, slot, count, length) for slot, count in _rows(lane, models).items())


def _check_lane(request: Request, lane: Lane, models: Models, prompt: int) -> None:
    if lane.method.name in ("transfer_q", "args", "cd"):
        looking = replace(lane.options, horizon=0, rollouts=1) if lane.method.name == "args" else lane.options
        indirect = lane.method.name == "transfer_q"
        check_guidance(looking, request.sampling, indirect, False, models.target.decoder.vocabulary)
    length = prompt + room(request, lane, models, prompt)
    for slot, count in _rows(lane, models).items():
        decoder = _decoder(models, slot)
        check_memory(decoder.memory, count, length, decoder.dtype, decoder.device)


def _rows(lane: Lane, models: Models) -> dict[str, int]:
    """Rows of the largest cache of each model."""
    options = lane.options
    if isinstance(options, Speculative):
        return {"target": 1, "draft": 1}
    if isinstance(options, SpecTr):
        return {"target": 1 if options.layout == "tree" else options.drafts, "draft": options.drafts}
    if lane.method.name == "best_of":
        return {"target": min(options.n, _MOST_ROWS)}
    slot = "aligned" if "aligned" in lane.method.needs else "target"
    if lane.method.name in ("transfer_q", "cd"):
        wide = (options.candidates or models.target.decoder.vocabulary) * options.rollouts
        return {slot: min(wide, options.rows)}
    return {slot: 1}


def _bytes(models: Models, slot: str, rows: int, length: int) -> int:
    decoder = _decoder(models, slot)
    return int(decoder.memory.bytes(rows, length, decoder.dtype))


def _decoder(models: Models, slot: str) -> Any:
    return (models.get(slot) or models.target).decoder


def _context(lane: Lane, models: Models) -> int:
    slots = ["target", *(slot for slot in lane.method.needs if slot != "reward")]
    return min(int(_decoder(models, slot).context) for slot in slots)
