"""Worked examples: questions whose answer a chemist can judge in ten seconds, and what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Example:
    """A question as values of the address, what it shows, and what to look for."""

    title: str
    words: str
    answer: str
    values: dict[str, str]

    @property
    def query(self) -> str:
        """Its address, with the question mark."""
        return f"?{urlencode({**self.values, 'run': '1'})}"


EXAMPLES = (
    Example(
        "A molecule from a sentence, three ways",
        "A fatty acid of twelve carbons in words; its SMILES plain, with one draft, and with SpecTr.",
        "meant: lauric acid, CCCCCCCCCCCC(=O)O. Drafts change the speed, not the answers' law",
        {
            "task": "molecule",
            "prompt": "The molecule is a straight-chain saturated fatty acid with twelve carbon atoms.",
            "m1": "autoregressive",
            "m2": "speculative",
            "m2_length": "4",
            "m3": "spectr",
            "m3_drafts": "4",
            "m3_length": "4",
            "seed": "3",
        },
    ),
    Example(
        "What is this molecule?",
        "Aspirin as SMILES, described in words, at a low temperature: the likely words first.",
        "expect: a benzoic acid with an acetate ester, used against pain",
        {
            "task": "description",
            "prompt": "CC(=O)Oc1ccccc1C(=O)O",
            "m1": "autoregressive",
            "m2": "speculative",
            "m2_length": "4",
            "temperature": "0.5",
            "seed": "1",
        },
    ),
    Example(
        "Towards drug-likeness",
        "The same sentence plain, as the best of eight answers, and with Transfer Q*, rewarded by QED.",
        "look for: the reward under each molecule, and what it cost in tokens",
        {
            "task": "molecule",
            "prompt": "The molecule is an aromatic amide with a piperazine ring.",
            "m1": "autoregressive",
            "m2": "best_of",
            "m3": "transfer_q",
            "m3_rollouts": "2",
            "reward": "qed",
            "alpha": "0.05",
            "seed": "2",
        },
    ),
)
