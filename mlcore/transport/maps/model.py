"""A trained map as a folder: ``model.safetensors`` (float32), ``config.json``, ``card.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mlcore.runtime.errors import InputError, ModelError
from mlcore.runtime.weights import fingerprint, load_folder, write_card
from mlcore.transport.costs import Cost, cost_named
from mlcore.transport.maps.forms import (
    ConvexMap,
    FreeMap,
    GradientField,
    Perceptron,
    SphereMap,
    StructuredMap,
)
from mlcore.transport.maps.gaussian import Affine, gaussian_map

KINDS = ("convex", "free", "structured", "conservative", "sphere")
STARTS = ("linear", "identity")


@dataclass(frozen=True)
class MapConfig:
    """Which map: everything that is needed to build it without its weights."""

    dimension: int
    kind: str = "convex"  # one of KINDS
    width: int = 128
    layers: int = 3
    cost: str = "squared_euclidean"  # see costs.COSTS
    parameter: float = (
        0.0  # of the cost: p of pnorm (to its power), the strength of elastic; 0 for its default
    )
    start: str = "linear"  # where a free map begins: one of STARTS

    def ground(self) -> Cost:
        """The cost.

        Raises:
            InputError: no such cost, or a parameter that it refuses.
        """
        if self.cost == "pnorm":
            p = self.parameter or 1.0
            return cost_named("pnorm", p=p, power=p > 1)
        if self.cost == "elastic":
            return cost_named("elastic", strength=self.parameter or 1.0)
        return cost_named(self.cost)


class MongeMap(nn.Module):
    """A map of points (n, d) to points (n, d), and the linear map beside it.

    Raises:
        InputError: the kind of map does not exist or does not fit the cost.
    """

    def __init__(self, config: MapConfig) -> None:
        super().__init__()
        self.config = config
        self.cost = config.ground()
        self.linear = Affine(config.dimension)
        self.network = _network(config, self.cost)

    def fit_units(self, source: Tensor, target: Tensor) -> None:
        """Set everything that is known in closed form from the two clouds: units, coordinates, the linear map."""
        linear = gaussian_map(source, target)
        self.linear.load_state_dict(linear.state_dict())
        network = self.network
        if isinstance(network, ConvexMap):
            network.fit(source, linear)
        elif isinstance(network, FreeMap):
            network.units.fit(source, target)
            if self.config.start == "linear":
                network.base.load_state_dict(linear.state_dict())
        elif isinstance(network, StructuredMap):
            network.units.fit(source, target)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    @torch.no_grad()
    def carry(self, points: Tensor, batch: int = 4096) -> Tensor:
        """Images (n, d), made in batches without a gradient."""
        return torch.cat([self.network(part) for part in points.split(batch)])

    def save(self, folder: Path, card: Mapping[str, Any]) -> None:
        """Write the folder; the card last, with the hash of the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=1, sort_keys=True) + "\n")
        write_card(folder, {**card, "sha256": fingerprint(folder)})

    @classmethod
    def load(cls, folder: Path) -> MongeMap:
        """The map of a folder.

        Raises:
            ModelError: see :func:`~mlcore.runtime.weights.load_folder`; or the folder holds another kind of model.
        """
        weights, config, _ = load_folder(folder)
        try:
            found = cls(MapConfig(**config))
            found.load_state_dict(weights)
        except (TypeError, RuntimeError, InputError) as fault:
            raise ModelError(f"{folder} holds no Monge map: {str(fault).splitlines()[0]}") from fault
        return found.eval()


def _network(config: MapConfig, cost: Cost) -> nn.Module:
    d, widths = config.dimension, (config.width,) * config.layers
    if config.start not in STARTS:
        raise InputError(
            f"A map cannot start '{config.start}'.", field="start", remedy=f"Choose from {', '.join(STARTS)}."
        )
    if config.kind == "convex":
        if config.cost != "squared_euclidean":
            raise InputError(
                f"A convex potential is optimal for the squared Euclidean distance, not for '{config.cost}'.",
                field="kind",
                remedy="Choose free, structured or conservative (or sphere for points on a sphere).",
            )
        return ConvexMap(d, widths)
    if config.kind == "free":
        return FreeMap(d, Perceptron(d, widths, d))
    if config.kind == "sphere":
        return SphereMap(Perceptron(d, widths, d))
    if config.kind in {"structured", "conservative"}:
        field = (
            Perceptron(d, widths, d)
            if config.kind == "structured"
            else GradientField(Perceptron(d, widths, 1))
        )
        try:
            return StructuredMap(d, cost, field)
        except ValueError as fault:
            raise InputError(str(fault), field="kind", remedy="Choose kind=free.") from fault
    raise InputError(
        f"There is no kind of map '{config.kind}'.", field="kind", remedy=f"Choose from {', '.join(KINDS)}."
    )
