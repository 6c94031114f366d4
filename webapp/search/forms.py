"""What the search page reads from its address, field by field, under the names that the API uses too."""

from __future__ import annotations

from typing import Any

from django import forms

from webapp.search.quantities import QUANTITIES, SORTS

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
STEREO = (("respect", "must agree"), ("ignore", "does not matter"))
MAX_K = 200
MAX_OFFSET = 10_000


class SearchForm(forms.Form):
    """One search. All fields may be missing; one that cannot be read gets an error that names the remedy."""

    q = forms.CharField(required=False, strip=False)
    read_as = forms.ChoiceField(required=False, choices=[(name, name) for name in READINGS])
    mode = forms.ChoiceField(required=False, choices=MODES)
    stereo = forms.ChoiceField(required=False, choices=STEREO)
    sort = forms.ChoiceField(required=False, choices=SORTS)
    k = forms.IntegerField(required=False, min_value=1, max_value=MAX_K)
    offset = forms.IntegerField(required=False, min_value=0, max_value=MAX_OFFSET)
    substructure = forms.CharField(required=False, max_length=5_000)
    similar_to = forms.CharField(required=False, max_length=20_000)
    similarity = forms.FloatField(required=False, min_value=0, max_value=1)
    elements = forms.CharField(required=False, max_length=200)
    without = forms.CharField(required=False, max_length=200)
    only = forms.CharField(required=False, max_length=200)
    mass = forms.FloatField(required=False, min_value=0)
    mass_tolerance = forms.CharField(required=False, max_length=20)
    category = forms.CharField(required=False, max_length=200)
    model = forms.CharField(required=False, max_length=80)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Add the two bounds of every quantity to the declared fields."""
        super().__init__(*args, **options)
        for quantity in QUANTITIES:
            for bound in (quantity.low, quantity.high):
                self.fields[bound] = forms.FloatField(
                    required=False,
                    error_messages={"invalid": f"{quantity.label}: write a number, as 180 or 0.5."},
                )
        for name in ("read_as", "mode", "stereo", "sort"):
            self.fields[name].error_messages["invalid_choice"] = (
                f"“%(value)s” is not a choice for {name}. Pick one from the page."
            )
        self.fields["similarity"].error_messages["invalid"] = "Least similarity: write a number from 0 to 1."

    def clean(self) -> dict[str, Any]:
        """Refuse bounds that cross and a similarity bound that has nothing to compare with."""
        values = super().clean() or {}
        for quantity in QUANTITIES:
            low, high = values.get(quantity.low), values.get(quantity.high)
            if low is not None and high is not None and low > high:
                self.add_error(
                    quantity.low, f"{quantity.label}: the least, {low:g}, is above the most, {high:g}."
                )
        if values.get("similarity") is not None and not values.get("similar_to"):
            self.add_error(
                "similarity", "Least similarity needs a structure to compare with: fill in “similar to”."
            )
        return values
