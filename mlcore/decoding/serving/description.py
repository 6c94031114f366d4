"""What can be asked of the decoding methods, as JSON for forms, schemas and people. Needs no model."""

from __future__ import annotations

from typing import Any

from mlcore.decoding import rewards
from mlcore.decoding.events import FORMULAE
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.serving.methods import METHODS
from mlcore.decoding.serving.requests import (
    ALTERNATIVES,
    MOST_CHARACTERS,
    MOST_LANES,
    REPEATS,
    SEED,
    TASKS,
    Lane,
    option_json,
)
from mlcore.runtime.options import described

#: probability that the exactness tests as a whole fail although everything is right, at most
FALSE_ALARMS = 0.01

_TASKS = {
    "molecule": ("Molecules for a text", "The prompt is a description; the answer is a SMILES."),
    "description": ("A text for a molecule", "The prompt is a molecule; the answer describes it."),
    "continue": (
        "Continue a text",
        "The prompt is the beginning of a text, as the model's tokenizer reads it.",
    ),
}
_KINDS = {
    "sampled": "drawn from the model without a draft",
    "accepted": "drafted, and passed by the target",
    "corrected": "stands in for drafts that did not pass",
    "bonus": "the target's own token after drafts that all passed",
    "chosen": "picked by the reward that it promises",
}


def describe() -> dict[str, Any]:
    """Tasks, methods with their parameters, sampling, rewards, kinds of tokens, formulae, defaults, limits."""
    return {
        "tasks": [{"name": task, "title": _TASKS[task][0], "help": _TASKS[task][1]} for task in TASKS],
        "methods": [
            {
                "name": method.name,
                "title": method.title,
                "help": method.help,
                "needs": list(method.needs),
                "exact": method.exact,
                "parameters": [option_json(each) for each in method.parameters()],
            }
            for method in METHODS.values()
        ],
        "sampling": [option_json(each) for each in described(Sampling())],
        "rewards": rewards.forms(),
        "kinds": [{"name": name, "help": words} for name, words in _KINDS.items()],
        "formulae": dict(FORMULAE),
        "defaults": {
            "task": "molecule",
            "prompt": "The molecule is a primary aliphatic alcohol.",
            "lanes": [
                {
                    "method": name,
                    "parameters": Lane(METHODS[name], METHODS[name].options).facts()["parameters"],
                }
                for name in ("autoregressive", "speculative", "spectr")
            ],
            "sampling": {each.name: each.default for each in described(Sampling())},
            "reward": None,
            "seed": SEED.default,
            "alternatives": 5,
            "repeats": REPEATS.default,
        },
        "options": [option_json(each) for each in (SEED, ALTERNATIVES, REPEATS)],
        "limits": {"lanes": MOST_LANES, "characters": MOST_CHARACTERS},
        "exactness": exactness(),
    }


def exactness() -> str:
    """Which methods keep the law of the target, and how far the tests of that can be trusted."""
    titles = [method.title for method in METHODS.values() if method.exact]
    return (
        f"{', '.join(titles[:-1])} and {titles[-1]} draw from exactly the same law. Enumeration proves it to 1e-12 on "
        f"small vocabularies; on trained models, tests whose false-alarm rate is at most {FALSE_ALARMS:.0%} in all "
        "find no difference. The other methods change the law on purpose."
    )
