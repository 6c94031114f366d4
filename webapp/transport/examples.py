"""Worked examples: small problems whose answer is known, so that a stranger can check the laboratory."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Example:
    """A problem as values of the address, what it shows, and the answer to expect."""

    title: str
    words: str
    answer: str
    values: dict[str, str]

    @property
    def query(self) -> str:
        """Its address, with the question mark."""
        return f"?{urlencode(self.values)}"


_BESIDE = {"solver": "sinkhorn", "epsilon": "0.05", "relative": "mean", "with": "exact"}
EXAMPLES = (
    Example(
        "Moons to a ring, blurred and exact",
        "Sinkhorn's plan beside the network simplex on the same points: how much cost ε = 0.05 buys how much blur.",
        "exact cost 0.30663, Sinkhorn 15.8 % more",
        {"source": "moons", "source_n": "60", "source_seed": "1", "target": "ring", "target_n": "60"}
        | {"target_seed": "2", "cost": "squared_euclidean", **_BESIDE},
    ),
    Example(
        "A grid moved aside",
        "36 points and the same points moved by (0.5, 0.25). Nothing beats moving all alike.",
        "cost 0.3125 = 0.5² + 0.25², gap 0",
        {"source": "grid", "source_n": "36", "source_seed": "0", "target": "grid", "target_n": "36"}
        | {
            "target_seed": "0",
            "target_dx": "0.5",
            "target_dy": "0.25",
            "cost": "squared_euclidean",
            "solver": "exact",
        },
    ),
    Example(
        "Clusters that may be left behind",
        "Five clusters to one heap, unbalanced: carrying far costs more than the price ρ, so mass stays.",
        "mass of the plan below 1",
        {"source": "clusters", "source_n": "60", "source_seed": "4", "target": "gaussian", "target_n": "60"}
        | {"target_seed": "5", "target_dx": "0.8", "solver": "unbalanced", "epsilon": "0.02"}
        | {"rho_a": "0.3", "rho_b": "0.3", "relative": "mean"},
    ),
    Example(
        "At most two targets a point",
        "The k-sparse plan beside the quadratic one at the same γ: no row has more than two links, and the marginals "
        "are met all the same.",
        "at most 2 links in a row; the quadratic plan has more",
        {"source": "clusters", "source_n": "60", "source_seed": "4", "target": "ring", "target_n": "60"}
        | {
            "target_seed": "2",
            "solver": "sparse",
            "gamma": "10",
            "k": "2",
            "side": "rows",
            "relative": "mean",
        }
        | {"with": "quadratic", "with_gamma": "10", "with_relative": "mean"},
    ),
    Example(
        "Nearly exact without a simplex",
        "IPOT sharpens an entropic plan step by step; the exact plan beside it is where it goes.",
        "costs agree to a few parts in a thousand",
        {"source": "spiral", "source_n": "50", "source_seed": "3", "target": "circles", "target_n": "50"}
        | {"target_seed": "1", "solver": "ipot", "with": "exact"},
    ),
)
#: what stands on the page before anything was asked
FIRST = EXAMPLES[0]
