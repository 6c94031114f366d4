"""What the search page reads from its address, field by field, under the names that the API uses too."""

from __future__ import annotations

from typing import Any

from django import forms

from webapp.search import vocabulary
from webapp.search.quantities import QUANTITIES


def _choice(*names: str) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, choices=[(name, name) for name in names])


class SearchForm(forms.Form):
    """One search. All fields may be missing; one that cannot be read gets an error that names the remedy."""

    q = forms.CharField(required=False, strip=False)
    read_as = _choice(*vocabulary.READINGS)
    mode = _choice(*vocabulary.names(vocabulary.MODES))
    same = _choice(*vocabulary.names(vocabulary.SAME))
    stereo = _choice(*vocabulary.names(vocabulary.STEREO))
    sort = _choice(*vocabulary.names(vocabulary.OFFERED_SORTS))
    k = forms.IntegerField(required=False, min_value=1, max_value=vocabulary.MAX_K)
    offset = forms.IntegerField(required=False, min_value=0, max_value=vocabulary.MAX_OFFSET)
    model = forms.CharField(required=False, max_length=vocabulary.MAX_MODEL)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Add every condition and the two bounds of every quantity to the declared fields."""
        super().__init__(*args, **options)
        for condition in vocabulary.CONDITIONS:
            self.fields[condition.name] = (
                forms.CharField(required=False, max_length=condition.longest)
                if condition.longest
                else forms.FloatField(required=False, min_value=condition.least, max_value=condition.most)
            )
        for quantity in QUANTITIES:
            for bound in (quantity.low, quantity.high):
                self.fields[bound] = forms.FloatField(
                    required=False,
                    error_messages={"invalid": f"{quantity.label}: write a number, as 180 or 0.5."},
                )
        for name, field in self.fields.items():
            if isinstance(field, forms.ChoiceField):
                field.error_messages["invalid_choice"] = (
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
