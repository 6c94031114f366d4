"""Search, and suggestions while a name is typed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.access import readable
from webapp.api.paging import links
from webapp.api.serializers import answers
from webapp.api.serializers.parameters import SearchParameters, SuggestParameters, filters
from webapp.api.views.base import ApiView
from webapp.search.vocabulary import DEFAULTS
from workers import inference


def find(request: Request, values: dict[str, Any]) -> dict[str, Any]:
    """The search answer for validated parameters, over the libraries that the caller may read.

    Where the parameters pin a model or library version, ``notes`` says which of them has changed since.
    """
    pins = dict(name.partition("@")[::2] for name in values.get("library", ()))
    plain = {name: values[name] for name in DEFAULTS}
    if values.get("facets"):
        plain["facets"] = True
    chosen = readable(request, tuple(pins))
    answer = inference.search(text=values["q"], libraries=chosen, filters=filters(values), **plain)
    changed = _changed(answer, values.get("model", ""), pins)
    return {**answer, "notes": [*answer["notes"], *changed]} if changed else answer


class SearchView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="search",
        tags=["search"],
        summary="Find molecules by what they are like",
        description=(
            "Takes a sentence, a name (typos allowed), formula, SMILES, InChI, InChIKey, SMARTS or molfile, "
            "and says what it took the text for. The Link header leads to the next and previous page."
        ),
        parameters=[SearchParameters],
        responses=answers.SearchAnswer,
        examples=[examples.SEARCH, examples.SEARCH_FACETS],
    )
    def get(self, request: Request) -> Response:
        """Search with everything in the address."""
        answer = find(request, self.read_query(SearchParameters))
        return Response(answer, headers=links(request, answer))

    @extend_schema(
        operation_id="search_long",
        tags=["search"],
        summary="The same search, for texts too long for an address",
        description="Takes the parameters of the GET form as one JSON object: for a pasted molfile.",
        request=SearchParameters,
        responses=answers.SearchAnswer,
        examples=[examples.SEARCH_BODY, examples.SEARCH],
    )
    def post(self, request: Request) -> Response:
        """Search with everything in the body."""
        return Response(find(request, self.read_body(SearchParameters)))


class SuggestView(ApiView):
    @extend_schema(
        operation_id="suggest",
        tags=["search"],
        summary="Names that begin with what has been typed",
        parameters=[SuggestParameters],
        responses=answers.SuggestAnswer,
        examples=[examples.SUGGEST],
    )
    def get(self, request: Request) -> Response:
        """Suggest names."""
        values = self.read_query(SuggestParameters)
        chosen = readable(request, values.get("library", ()))
        return Response(inference.suggest(values["q"], libraries=chosen, k=values["k"]))


def _changed(answer: dict[str, Any], model: str, pins: dict[str, str]) -> list[str]:
    """One sentence for every pin that the answer no longer matches."""
    out = []
    if model and not answer["model"].startswith(model):
        out.append(f"The pinned model was {model[:16]}; this answer is from {answer['model'][:16]}.")
    for library in answer["libraries"]:
        pin = pins.get(library["id"], "")
        if pin and not library["fingerprint"].startswith(pin):
            now = library["fingerprint"][:16]
            out.append(
                f"The library {library['id']} was pinned at {pin[:16]}; it has changed and is now {now}."
            )
    return out
