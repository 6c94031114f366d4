"""Comparisons that one button sets up: which methods, with which parameters, towards which reward."""

from __future__ import annotations

from dataclasses import dataclass, replace

from webapp.decoding.known import Known
from webapp.decoding.state import DecodingState, Lane

#: rewards lie between 0 and 1: at this price a tenth of that range is worth a nat
ALPHA_AT_FIRST = "0.1"


@dataclass(frozen=True)
class Preset:
    """Lanes as (method, parameters that differ from the defaults); a reward where they need one."""

    name: str
    title: str
    words: str
    lanes: tuple[tuple[str, dict[str, str]], ...]
    reward: str = ""
    instead_of: str = ""  # another that this one stands for where that cannot be used

    def set(self, state: DecodingState) -> DecodingState:
        """``state`` with these lanes."""
        lanes = tuple(Lane(method, values) for method, values in self.lanes)
        if not self.reward:
            return replace(state, lanes=lanes, reward="", reward_values={})
        return replace(
            state, lanes=lanes, reward=state.reward or self.reward, alpha=state.alpha or ALPHA_AT_FIRST
        )


PRESETS = (
    Preset(
        "faster",
        "Faster: plain, one draft, SpecTr",
        "The same law three times; how fast it comes differs.",
        (
            ("autoregressive", {}),
            ("speculative", {"length": "4"}),
            ("spectr", {"drafts": "4", "length": "4"}),
        ),
    ),
    Preset(
        "drafts",
        "How many drafts: K = 1, 2, 4, 8",
        "More drafts are accepted further, and cost more to score.",
        (
            ("speculative", {"length": "4"}),
            *(("spectr", {"drafts": str(count), "length": "4"}) for count in (2, 4, 8)),
        ),
    ),
    Preset(
        "reward",
        "Towards a reward: plain, best of N, Transfer Q*",
        "Away from the target's law, towards molecules that score higher.",
        (("autoregressive", {}), ("best_of", {}), ("transfer_q", {})),
        reward="qed",
    ),
    Preset(
        "reward-cd",
        "Towards a reward: plain, best of N, controlled decoding",
        "Away from the target's law, towards molecules that score higher.",
        (("autoregressive", {}), ("best_of", {}), ("cd", {})),
        reward="qed",
        instead_of="reward",
    ),
    Preset(
        "guides",
        "Ways to a reward: ARGS, controlled decoding, Transfer Q*",
        "Three estimates of what a token will be worth, on the same prompt.",
        (("args", {}), ("cd", {}), ("transfer_q", {})),
        reward="qed",
    ),
)
FIRST = PRESETS[0]


def offered(known: Known, task: str) -> list[Preset]:
    """The presets of a task whose methods all can be used here."""
    usable = {method.name for method in known.methods if not method.missing}
    rewards = {reward.name for reward in known.rewards} if task == "molecule" else set()
    found = {
        preset.name: preset
        for preset in PRESETS
        if {method for method, _ in preset.lanes} <= usable
        and (not preset.reward or preset.reward in rewards)
    }
    return [preset for preset in found.values() if preset.instead_of not in found]


def named(name: str) -> Preset | None:
    """The preset called so."""
    return next((preset for preset in PRESETS if preset.name == name), None)
