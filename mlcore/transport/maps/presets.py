"""How a Monge map is fitted: one frozen dataclass, and its named instances."""

from __future__ import annotations

from dataclasses import dataclass

from mlcore.runtime.options import option


@dataclass(frozen=True)
class MongeTraining:
    """Parameters of a fit.

    With ``kind="auto"`` the squared Euclidean distance gets a convex potential, fitted by the semi-dual; the geodesic
    distance a map of the sphere; every other cost a free map. These are fitted by a Sinkhorn divergence with the Monge
    gap beside it, whose parameters are the six last of the list.
    """

    cost: str = option(
        "squared_euclidean",
        "what it costs to carry one point to another",
        choices=("squared_euclidean", "euclidean", "pnorm", "cosine", "geodesic", "elastic"),
    )
    cost_parameter: float = option(0.0, "p of pnorm, strength of elastic")
    kind: str = option(
        "auto", "form of the map", choices=("auto", "convex", "free", "structured", "conservative", "sphere")
    )
    start: str = option("linear", "where a free map begins", choices=("linear", "identity"))
    width: int = option(0, "of the layers; 0: 4 units a dimension, from 64 to 256", minimum=0, maximum=4096)
    layers: int = option(3, "of the network", minimum=1, maximum=32)
    seed: int = option(0, "of everything random", minimum=0)
    held_out: float = option(0.1, "share of both clouds, at most 2,048 points", minimum=0.0, maximum=0.5)
    steps: int = option(8000, "of the fit", minimum=1)
    batch: int = option(512, "points of each cloud in a step", minimum=2)
    rate: float = option(
        0.1, "times the size of a weight, 1 / sqrt(dimension); at most 0.05 after that", minimum=0.0
    )
    inverse_steps: int = option(2, "refinements of an inverse image whenever its batch comes", minimum=0)
    average: float = option(
        0.998, "decay of the averaged weights, which are what is kept", minimum=0.0, maximum=1.0
    )
    every: int = option(250, "steps between two looks at the held-out points", minimum=1)
    checkpoint_minutes: float = option(2.0, "between two checkpoints", minimum=0.0)
    # with the divergence as the loss, the next three take the place of steps, batch and rate
    gap_steps: int = option(4000, "of the fit with the divergence and the gap", minimum=1)
    gap_batch: int = option(256, "points of each cloud in such a step", minimum=2)
    gap_rate: float = option(2e-3, "its learning rate", minimum=0.0)
    strength: float = option(
        0.3, "of the gap; both terms are in units of the mean cost between the clouds", minimum=0.0
    )
    fit_epsilon: float = option(0.02, "entropy of the divergence, a share of the mean cost", minimum=1e-6)
    gap_epsilon: float = option(0.01, "entropy of the gap, a share of the mean cost", minimum=1e-6)


PRESETS = {
    "cpu": MongeTraining(),
    "small": MongeTraining(steps=1500, gap_steps=500, batch=256, every=100, average=0.99),
    "gpu": MongeTraining(
        steps=40_000, batch=2048, gap_steps=20_000, gap_batch=2048, average=0.999, every=1000
    ),
}
