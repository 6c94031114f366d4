"""Worked examples of the API's decoding addresses, for the schema; tests check each against its serializer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

_FORMULAE = {
    "block_efficiency": "emitted / target_calls",
    "acceptance": "sum(passed) / sum(reached)",
    "tokens_per_second": "emitted / seconds.total",
}
_EXACTNESS = (
    "Autoregressive, Speculative and SpecTr draw from exactly the same law. Enumeration proves it to 1e-12 on small "
    "vocabularies; on trained models, tests whose false-alarm rate is at most 1% in all find no difference. The other "
    "methods change the law on purpose."
)


def _answer(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


def _body(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


def _model(name: str, digest: str, parameters: int) -> dict[str, Any]:
    return {"name": name, "hash": digest * 16, "version": 0, "parameters": parameters, "note": ""}


_MODELS: dict[str, Any] = {
    "target": _model("lm-target", "5e1f", 8_120_000),
    "draft": _model("lm-draft", "a90c", 520_000),
    "aligned": None,
}


def _option(name: str, kind: str, default: Any, words: str, **limits: Any) -> dict[str, Any]:
    free = {"minimum": None, "maximum": None, "choices": []}
    return {"name": name, "type": kind, "default": default, "help": words, **free, **limits}


_BODY = {
    "task": "molecule",
    "prompt": "The molecule is ethanol's next homologue.",
    "lanes": [{"method": "speculative", "parameters": {"length": 4}}],
    "sampling": {"max_tokens": 40, "temperature": 0.8},
    "seed": 7,
}
BODY = _body("One draft of four tokens", _BODY)
GUIDED_BODY = _body(
    "Towards drug-likeness",
    {
        "task": "molecule",
        "prompt": "The molecule is an aromatic amide.",
        "lanes": [{"method": "cd", "parameters": {"alpha": 0.05, "candidates": 4, "rollouts": 2}}],
        "sampling": {"max_tokens": 12},
        "reward": {"name": "qed"},
        "seed": 1,
    },
)
DESCRIBE = _answer(
    "One method, one reward",
    {
        "tasks": [
            {
                "name": "molecule",
                "title": "Molecules for a text",
                "help": "The prompt is a description; the answer is a SMILES.",
            }
        ],
        "methods": [
            {
                "name": "speculative",
                "title": "Speculative",
                "help": "A small model drafts a few tokens, the target tests them in one call.",
                "needs": ["draft"],
                "exact": True,
                "parameters": [
                    _option(
                        "length", "int", 6, "tokens drafted in each round (L)", minimum=1.0, maximum=64.0
                    ),
                    _option(
                        "verification", "str", "block", "how they are tested", choices=["block", "token"]
                    ),
                ],
            }
        ],
        "sampling": [
            _option("temperature", "float", 1.0, "below one sharpens the law", minimum=0.0, maximum=10.0)
        ],
        "rewards": [
            {
                "name": "qed",
                "title": "Drug-likeness (QED)",
                "help": "1 is most drug-like.",
                "range": [0.0, 1.0],
                "nested": None,
                "parameters": [],
            }
        ],
        "kinds": [{"name": "accepted", "help": "drafted, and passed by the target"}],
        "formulae": _FORMULAE,
        "defaults": {"task": "molecule", "seed": 0},
        "options": [
            _option("seed", "int", 0, "the same seed, the same answers", minimum=0.0, maximum=2147483647.0)
        ],
        "limits": {"lanes": 4, "characters": 20_000},
        "exactness": _EXACTNESS,
        "models": {**_MODELS, "faults": {"aligned": "There is no aligned model on this server."}},
    },
)
ESTIMATE = _answer(
    "One draft of four tokens",
    {
        "prompt_tokens": 14,
        "answer_tokens": 40,
        "lanes": [{"lane": 0, "memory_bytes": 910_000, "seconds": 0.09, "seconds_at_most": 0.21}],
        "memory_bytes": 910_000,
        "seconds": 0.09,
        "seconds_at_most": 0.21,
        "sentence": "needs about 0.09 s, at most 0.21 s, and 1 MiB for keys and values",
    },
)
ANSWER = _answer(
    "Propan-1-ol",
    {
        "opened": {
            "event": "opened",
            "lanes": [
                {
                    "method": "speculative",
                    "title": "Speculative",
                    "parameters": {"length": 4, "verification": "block"},
                }
            ],
            "models": _MODELS,
            "prompt": {"tokens": 14, "text": "The molecule is ethanol's next homologue."},
            "seed": 7,
            "exactness": _EXACTNESS,
        },
        "lanes": [
            {
                "event": "done",
                "lane": 0,
                "text": "CCCO",
                "reason": "end",
                "counts": {
                    "emitted": 3,
                    "target_calls": 1,
                    "target_tokens": 5,
                    "draft_calls": 4,
                    "drafted": 4,
                    "accepted": 3,
                    "corrected": 0,
                    "bonus": 0,
                    "reached": [1, 1, 1, 0],
                    "passed": [1, 1, 1, 0],
                    "rollouts": 0,
                    "rewards": 0,
                    "seconds": {"prompt": 0.006, "draft": 0.003, "target": 0.004, "total": 0.014},
                },
                "rates": {"block_efficiency": 3.0, "acceptance": 1.0, "tokens_per_second": 214.3},
                "formulae": _FORMULAE,
                "parameters": {"length": 4, "verification": "block"},
                "molecule": {
                    "smiles": "CCCO",
                    "valid": True,
                    "formula": "C3H8O",
                    "weight": 60.096,
                    "qed": 0.46,
                    "logp": 0.389,
                    "reward": None,
                    "depiction": None,
                },
                "reward": None,
                "kl": 0.0,
            }
        ],
        "closed": {
            "event": "closed",
            "comparison": [
                {
                    "lane": 0,
                    "speedup": 1.31,
                    "interval": None,
                    "n": 1,
                    "sentence": "1.3 times as fast as autoregressive (214 against 164 tokens per second; with only 3 "
                    "tokens this says little).",
                }
            ],
        },
    },
)
FRONTIER = _answer(
    "Two rows",
    {
        "rows": [
            {"method": "cd", "alpha": 0.05, "reward": 0.81, "kl": 3.2, "tokens": 1_890.0, "answers": 4},
            {"method": "best_of", "n": 64, "reward": 0.79, "kl": 3.17, "tokens": 1_910.0, "answers": 4},
        ],
        "matched": 64,
        "sentence": "Controlled decoding reaches 0.81 at α = 0.05 with 1,890 tokens; best of 64 reaches 0.79 with "
        "1,910.",
    },
)
