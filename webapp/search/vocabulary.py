"""The words of a search: every name, choice, limit and default that form, addresses and API share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.search.quantities import QUANTITIES

READINGS = (
    "auto",
    "prose",
    "name",
    "formula",
    "smiles",
    "inchi",
    "inchikey",
    "molfile",
    "smarts",
    "cas",
    "id",
)
MODES = (
    ("auto", "Best of all three"),
    ("exact", "The same molecule"),
    ("similar", "Similar molecules"),
    ("contains", "Molecules that contain it"),
)
#: what counts as the same molecule as a structure that was asked for
SAME = (
    ("compound", "the same compound"),
    ("parent", "the same parent: any salt, charge or solvate"),
    ("tautomer", "any tautomer as well"),
)
STEREO = (("respect", "must agree"), ("ignore", "does not matter"))
#: kinds of query that are structures
STRUCTURE_KINDS = ("smiles", "inchi", "molfile", "inchikey")

#: orders that the page offers; the API takes every quantity in both directions
OFFERED_SORTS = (
    ("score", "Best match first"),
    ("name", "Name, A to Z"),
    ("weight", "Lightest first"),
    ("-weight", "Heaviest first"),
    ("logp", "logP, lowest first"),
    ("-logp", "logP, highest first"),
    ("tpsa", "Polar surface, smallest first"),
    ("-tpsa", "Polar surface, largest first"),
    ("exact_mass", "Exact mass, lowest first"),
    ("rings", "Fewest rings first"),
    ("-rings", "Most rings first"),
)
RANGES = tuple(quantity.name for quantity in QUANTITIES)
SORTS = ("score", "name", "-name", *RANGES, *(f"-{name}" for name in RANGES))

#: what a search takes besides its text, its filters and its libraries, and what each is unless said otherwise
DEFAULTS: dict[str, Any] = {
    "read_as": "auto",
    "mode": "auto",
    "same": "compound",
    "stereo": "respect",
    "sort": "score",
    "k": 20,
    "offset": 0,
}
PAGE_SIZES = (20, 50, 100)
MAX_K = 200
MAX_OFFSET = 10_000
MAX_LIBRARIES = 50
MAX_MODEL = 80

EXPORT_FORMATS = (("csv", "as CSV (spreadsheet)"), ("sdf", "as SDF (structures)"), ("smi", "as SMILES"))
MAX_EXPORT_HITS = 1_000
MAX_LOOKUP = 1_000
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Condition:
    """A filter that is no range: its name, its meaning, its words on a chip, and its limits.

    ``longest`` is the length of a text in characters; without it the value is a number from ``least`` to ``most``.
    """

    name: str
    meaning: str
    chip: str = ""
    longest: int = 0
    least: float | None = None
    most: float | None = None
    needs: str = ""


CONDITIONS = (
    Condition("substructure", "SMARTS (or SMILES) that every hit contains.", "contains {}", 5_000),
    Condition("similar_to", "SMILES; keeps hits at least `similarity` alike (0.5 unless given).", "", 20_000),
    Condition(
        "similarity", "Least Tanimoto similarity to similar_to, 0 to 1.", least=0, most=1, needs="similar_to"
    ),
    Condition("elements", "Elements every hit contains, as C,N,Cl.", "has {}", 200),
    Condition("without", "Elements no hit contains, as F,Br.", "without {}", 200),
    Condition("only", "Every hit is made of nothing but these elements, as C,H,O.", "only {}", 200),
    Condition("mass", "Exact mass (Da), as a mass spectrometer reads it off.", least=0),
    Condition(
        "mass_tolerance", "How far off mass may be: 5ppm (the default) or 0.01Da.", "", 20, needs="mass"
    ),
    Condition("category", "Category of the catalogue, as terpenes; several with commas.", "category {}", 200),
)
BOUNDS = tuple(bound for quantity in QUANTITIES for bound in (quantity.low, quantity.high))
#: all filters of the inference door, in the order of an address
FILTERS = (*(condition.name for condition in CONDITIONS), *BOUNDS)


def names(choices: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The values of labelled choices, without their labels."""
    return tuple(name for name, _ in choices)
