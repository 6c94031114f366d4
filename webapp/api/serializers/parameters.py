"""What the addresses read from the query string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from webapp.api.serializers.fields import (
    MAX_ID,
    Choice,
    Number,
    StrictSerializer,
    YesNo,
    several,
    text,
    whole,
)
from webapp.search import vocabulary
from webapp.search.quantities import QUANTITIES
from webapp.search.vocabulary import DEFAULTS


def library_list(**options: Any) -> serializers.ListField:
    """Library ids; none means every library the caller may read."""
    return several(text(MAX_ID), vocabulary.MAX_LIBRARIES, required=False, **options)


class NoParameters(StrictSerializer):
    """For addresses that read nothing from the query string."""


class FilterParameters(StrictSerializer):
    """Limits on what may be found; all given ones hold together."""

    library = library_list(
        help_text="Library id; repeat for several. Without it, every library you may read. "
        "As id@fingerprint it is pinned: the answer's notes say when the library has changed since."
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """The declared fields, every condition and, for every quantity, its two bounds."""
        fields = super().get_fields()
        for condition in vocabulary.CONDITIONS:
            fields[condition.name] = (
                text(condition.longest, required=False, help_text=condition.meaning)
                if condition.longest
                else Number(
                    min_value=condition.least,
                    max_value=condition.most,
                    required=False,
                    help_text=condition.meaning,
                )
            )
        for quantity in QUANTITIES:
            unit = f" ({quantity.unit})" if quantity.unit else ""
            fields[quantity.low] = Number(required=False, help_text=f"{quantity.label}{unit}, at least.")
            fields[quantity.high] = Number(required=False, help_text=f"{quantity.label}{unit}, at most.")
        return fields

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse bounds that cross, and a tolerance without what it is a tolerance of."""
        self.check_order(values, *vocabulary.RANGES)
        for condition in vocabulary.CONDITIONS:
            if condition.needs and condition.name in values and condition.needs not in values:
                raise serializers.ValidationError(
                    {condition.name: f"This needs {condition.needs} beside it. Give both."}
                )
        return values


class SearchParameters(FilterParameters):
    """One search: the text, how to read it, the filters, and which slice of the ranking to send."""

    q = text(
        required=True,
        help_text="A sentence, name, formula, SMILES, InChI, InChIKey, CAS number, SMARTS, molfile or id.",
    )
    read_as = Choice(
        vocabulary.READINGS,
        default=DEFAULTS["read_as"],
        help_text="How to read q; auto decides and says what it took it for.",
    )
    mode = Choice(
        vocabulary.names(vocabulary.MODES),
        default=DEFAULTS["mode"],
        help_text="For structures: the same, similar ones, or those that contain it.",
    )
    same = Choice(
        vocabulary.names(vocabulary.SAME),
        default=DEFAULTS["same"],
        help_text="For structures, what counts as the same: the compound; its parent, so any salt, charge or "
        "solvate; or any tautomer of the parent. With mode=exact nothing else is a hit.",
    )
    stereo = Choice(
        vocabulary.names(vocabulary.STEREO),
        default=DEFAULTS["stereo"],
        help_text="Whether stereochemistry must agree.",
    )
    sort = Choice(
        vocabulary.SORTS,
        default=DEFAULTS["sort"],
        help_text="Order of the hits; '-' is from the greatest down.",
    )
    k = whole(1, vocabulary.MAX_K, default=DEFAULTS["k"], help_text="How many hits to send.")
    offset = whole(0, vocabulary.MAX_OFFSET, default=DEFAULTS["offset"], help_text="How many hits to skip.")
    facets = YesNo(
        default=False,
        help_text="Whether to say how the properties, categories and libraries of all hits are spread.",
    )
    model = text(
        vocabulary.MAX_MODEL,
        required=False,
        help_text="Model hash (or its start) of an earlier answer: notes say if it changed.",
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """All fields, the search's own before the filters, as the documentation shows them."""
        fields = super().get_fields()
        first = [name for name in ("q", *DEFAULTS, "facets") if name in fields]
        return {name: fields.pop(name) for name in first} | fields

    def validate_q(self, value: str) -> str:
        """Refuse a text of nothing but space."""
        if not value.strip():
            raise serializers.ValidationError("This is empty. Write what to search for.")
        return value


def filters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the validated values that are filters of the inference door."""
    return {name: value for name, value in values.items() if name in vocabulary.FILTERS}


class SuggestParameters(StrictSerializer):
    q = text(200, required=True, help_text="The first letters of a name.")
    library = library_list(help_text="Library id; repeat for several.")
    k = whole(1, 20, default=8, help_text="How many suggestions to send.")


class NeighbourParameters(StrictSerializer):
    k = whole(1, 100, default=12, help_text="How many neighbours to send.")


class DepictOptions(StrictSerializer):
    """A drawing of ``structure``, or of molecule ``id`` in ``library``."""

    structure = text(required=False, help_text="SMILES, InChI or molfile.")
    library = text(MAX_ID, required=False, help_text="With id: a molecule of a library.")
    id = text(MAX_ID, required=False)
    format = Choice(("svg", "png"), default="svg")
    width = whole(40, 2_000, default=260, help_text="Pixels.")
    height = whole(40, 2_000, default=200, help_text="Pixels.")
    theme = Choice(vocabulary.THEMES, default="light", help_text="Colours for a light or a dark page.")
    stereo = Choice(("show", "hide"), default="show", help_text="Whether to draw stereo labels.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of ``structure`` and ``library`` + ``id``."""
        one_structure(values)
        return values


class DepictParameters(DepictOptions):
    atoms = text(5_000, required=False, allow_blank=True, help_text="Atom indices to highlight, as 0,3,4.")

    def validate_atoms(self, value: str) -> tuple[int, ...]:
        """``"0,3,4"`` → (0, 3, 4). Raises ValidationError naming the first piece that is no index."""
        return atom_list(value)


class ExplanationParameters(StrictSerializer):
    q = text(required=True, help_text="The query to explain.")
    library = text(MAX_ID, required=True)
    id = text(MAX_ID, required=True)


class ComparisonParameters(StrictSerializer):
    q = text(required=True, help_text="The query both were found with.")
    library = text(MAX_ID, required=True)
    first = text(MAX_ID, required=True, help_text="Id of one molecule.")
    second = text(MAX_ID, required=True, help_text="Id of the other.")


def atom_list(value: str) -> tuple[int, ...]:
    """Comma-separated atom indices as integers. Raises ValidationError naming the first that is none."""
    out = []
    for piece in filter(None, map(str.strip, value.split(","))):
        if not (piece.isascii() and piece.isdigit() and len(piece) <= 6):
            raise serializers.ValidationError(
                f"'{piece[:20]}' is no atom index. Write whole numbers, as 0,3,4."
            )
        out.append(int(piece))
    return tuple(out)


def one_structure(values: Mapping[str, Any]) -> None:
    """Raise ValidationError unless exactly one way to name a structure was used."""
    from_library = "library" in values or "id" in values
    if "structure" in values and from_library:
        raise serializers.ValidationError(
            {"structure": "Give either structure, or library and id, not both."}
        )
    if from_library and not ("library" in values and "id" in values):
        missing = "id" if "library" in values else "library"
        raise serializers.ValidationError(
            {missing: "This is missing: a molecule is named by library and id."}
        )
    if "structure" not in values and not from_library:
        raise serializers.ValidationError({"structure": "This is missing. Give a SMILES, InChI or molfile."})
