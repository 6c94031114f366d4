"""What methods, parameters, kinds of tokens and figures are called on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: tasks: the choice, the label of the box, what stands in the empty box, what the answer is called
TASKS = {
    "molecule": (
        "Suggest molecules for this text",
        "What should the molecule be like?",
        "The molecule is a fatty alcohol with a branched chain and one double bond.",
    ),
    "description": (
        "Describe this molecule",
        "Which molecule? Its SMILES, InChI or molfile",
        "CC(=O)Oc1ccccc1C(=O)O",
    ),
    "continue": ("Continue this text", "The text to go on from", "Benzene is"),
}

#: methods in the order of the lists, and the word for each where the door has none
METHODS = {
    "autoregressive": "Plain: one token at a time",
    "speculative": "One draft, checked",
    "spectr": "SpecTr: several drafts, checked",
    "best_of": "Best of N",
    "transfer_q": "Transfer Q*",
    "args": "ARGS: reward of the text so far",
    "cd": "Controlled decoding",
    "aligned": "The aligned model itself",
}
#: what law an answer is drawn from
EXACT = "The law of the target model itself: drafts change how soon an answer comes, not which answers come how often."
LAWS = {
    "autoregressive": "The law of the target model itself.",
    "best_of": "Not the target's law: of several answers the one with the highest reward is kept.",
    "transfer_q": "Not the target's law: tilted towards the reward on purpose; α says how far.",
    "args": "Not the target's law: tilted towards the reward of the text so far; α says how far.",
    "cd": "Not the target's law: tilted towards the reward that lies ahead; α says how far.",
    "aligned": "The law of the aligned model, which was trained towards a reward; not the target's.",
}
#: labels of parameters; the others are called by their names
LABELS = {
    "length": "Tokens drafted ahead (L)",
    "drafts": "Drafts side by side (K)",
    "verification": "Drafts are checked",
    "layout": "Drafts are scored as",
    "rule": "Selection rule",
    "auto": "Choose K and L from measured costs",
    "n": "Answers to choose from (N)",
    "block": "Tokens chosen at once",
    "candidates": "Candidates a step",
    "rollouts": "Rollouts a candidate",
    "horizon": "Tokens of a rollout",
    "estimator": "Value estimated by",
    "rollout": "Continuations are",
    "common": "The same chance for every candidate",
    "reference": "Stay near",
    "mode": "The next token is",
    "transfer": "Transfer",
    "beta": "β of the alignment",
    "cap": "Cap of the weights",
    "repeats": "Timed runs of each lane",
    "max_tokens": "Longest answer, in tokens",
    "temperature": "Temperature",
    "top_k": "Only the k likeliest tokens (top-k)",
    "top_p": "Only the likeliest share (top-p)",
    "repetition_penalty": "Repetition penalty",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "target": "SMILES of the molecule to resemble",
    "text": "Description to fit",
    "low": "From logP",
    "high": "To logP",
    "margin": "Falls to 0 over",
}
CHOICES = {
    "block": "whole blocks at a time",
    "token": "token by token",
    "batch": "rows of a batch",
    "tree": "a tree of shared beginnings",
    "kseq": "k-sequential (SpecTr)",
    "optimal": "optimal transport (slow, exact yardstick)",
    "sample": "drawn",
    "greedy": "the likeliest one",
    "sampled": "drawn",
    "mean": "mean reward (direct transfer)",
    "snis": "self-normalised weights (indirect)",
    "soft": "soft value (indirect)",
    "released": "the authors' released code",
    "aligned": "the aligned model",
    "sft": "the target model",
}

#: kinds of tokens: the word of the legend, and what it means
KINDS = {
    "sampled": ("drawn", "drawn from the target model, nothing was drafted"),
    "accepted": ("drafted, accepted", "proposed by the small draft model, and the target model let it stand"),
    "corrected": ("corrected", "the target model's own token, in place of a draft that it refused"),
    "bonus": ("bonus", "one more from the target model, for free after drafts that all stood"),
    "chosen": ("chosen", "picked for the reward that it promises"),
}
REASONS = {
    "end": "",
    "length": "Cut off at the longest answer that was allowed. Allow more tokens to see the rest.",
    "context": "Cut off where the model's memory ends: prompt and answer fill it.",
}
#: rates of a lane: label, unit, and what it says
RATES = {
    "block_efficiency": (
        "Tokens per target call",
        "",
        "1 without drafts; the more, the less the large model has to work",
    ),
    "acceptance": ("Drafts accepted", "%", "of the places where a draft was tested, those where one stood"),
    "tokens_per_second": ("Tokens per second", "", "the time to read the prompt included"),
}
#: raw counts, as the formulae name them
COUNTS = {
    "emitted": "tokens written",
    "target_calls": "calls of the target model after the prompt",
    "target_tokens": "tokens that they scored",
    "draft_calls": "calls of the draft model",
    "drafted": "tokens drafted",
    "accepted": "drafted tokens that stand in the answer",
    "corrected": "corrections",
    "bonus": "bonus tokens",
    "decisions": "places with a choice to make",
    "valued": "candidates whose worth was estimated",
    "followed": "continuations followed to look ahead",
    "unfinished": "of them cut off by the horizon",
    "rollouts": "tokens written to look ahead, or for answers not taken",
    "rewards": "texts that were scored",
}
#: parts of the time, in the order of the bar; what is left is "other"
PARTS = {
    "prompt": "reading the prompt",
    "draft": "drafting",
    "target": "target model",
    "verify": "checking",
    "lookahead": "looking ahead",
    "other": "the rest",
}
MODELS = {"target": "Target model", "draft": "Draft model", "aligned": "Aligned model"}


def label(option: Mapping[str, Any]) -> str:
    """What a parameter is called on the page."""
    name = str(option["name"])
    return str(LABELS.get(name) or option.get("title") or name.replace("_", " ").capitalize())


def choice(value: str) -> str:
    """What a value of a list is called on the page."""
    return CHOICES.get(value, value.replace("_", " "))


SYMBOLS = {"drafts": "K", "length": "L", "n": "N", "alpha": "α"}


def settings(parameters: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """Parameters as a line: those known by a letter, then those that are not as usual."""
    shown = {name: told(value) for name, value in parameters.items()}
    if shown.get("auto") == "yes":
        return "K and L chosen by measured costs"
    letters = [f"{letter} = {shown[name]}" for name, letter in SYMBOLS.items() if name in shown]
    others = [
        f"{LABELS.get(name, name.replace('_', ' ')).lower()}: {value}"
        for name, value in shown.items()
        if name not in SYMBOLS and name in usual and value != told(usual[name])
    ]
    line = "; ".join([", ".join(letters), *others]).strip("; ")
    return line if letters else line.capitalize()


def told(value: Any) -> str:
    """A value in that line."""
    if isinstance(value, bool) or value in ("true", "false"):
        return "yes" if value in (True, "true") else "no"
    return f"{value:g}" if isinstance(value, float) else choice(str(value))


def size(parameters: int | None) -> str:
    """How many parameters a model has: ``8.4 million parameters``."""
    if not parameters:
        return ""
    for least, word in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if parameters >= least:
            return f"{parameters / least:.3g} {word} parameters"
    return f"{parameters:,} parameters"
