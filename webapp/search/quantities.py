"""The numbers a molecule is filtered, sorted and described by: one row each, with unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A property: the door's name for it, the page's, its unit, and one sentence on what it is."""

    name: str
    label: str
    unit: str
    meaning: str
    whole: bool = False

    @property
    def low(self) -> str:
        """Name of the lower bound in an address."""
        return f"{self.name}_min"

    @property
    def high(self) -> str:
        """Name of the upper bound in an address."""
        return f"{self.name}_max"


QUANTITIES = (
    Quantity("weight", "Molecular weight", "g/mol", "Average weight, from the natural isotope mixture."),
    Quantity(
        "exact_mass",
        "Exact mass",
        "Da",
        "Mass of the most abundant isotopes, as a mass spectrometer sees it.",
    ),
    Quantity("logp", "logP", "", "Crippen's estimate of how much the molecule prefers oil over water."),
    Quantity(
        "tpsa",
        "Polar surface",
        "Å²",
        "Topological polar surface area; below about 140 Å² suggests absorption.",
    ),
    Quantity("hbd", "H-bond donors", "", "Groups that can give a hydrogen bond.", whole=True),
    Quantity("hba", "H-bond acceptors", "", "Atoms that can take a hydrogen bond.", whole=True),
    Quantity("rings", "Rings", "", "Number of rings in the smallest set that covers all.", whole=True),
    Quantity("charge", "Charge", "e", "Net formal charge.", whole=True),
    Quantity("stereocentres", "Stereocentres", "", "Tetrahedral centres, assigned or not.", whole=True),
    Quantity("heavy_atoms", "Heavy atoms", "", "Atoms other than hydrogen.", whole=True),
    Quantity("rotatable", "Rotatable bonds", "", "Single bonds outside rings that turn freely.", whole=True),
)
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
