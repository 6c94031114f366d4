"""The schema is valid, complete, carries working examples, and its page asks no other host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework import serializers
from rest_framework.test import APIClient

from webapp.api import examples, job_examples, model_examples
from webapp.api.serializers import answers, bodies, jobs, models, parameters

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def schema(client: APIClient) -> dict[str, Any]:
    response = client.get("/api/schema/")
    assert response.status_code == 200
    return response.json()


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for address, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield address, method, operation


def test_it_is_valid_and_without_warnings(tmp_path: Any) -> None:
    call_command(
        "spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"), stdout=StringIO()
    )
    assert (tmp_path / "schema.yml").stat().st_size > 10_000


def test_it_names_every_address_and_method(schema: dict[str, Any]) -> None:
    from webapp.api.urls import v1

    served = {
        (re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v1/{pattern.pattern}"), method)
        for pattern in v1
        for method in METHODS
        if hasattr(pattern.callback.cls, method)
    }
    assert {(address, method) for address, method, _ in operations(schema)} == served


def test_every_operation_is_documented(schema: dict[str, Any]) -> None:
    for address, method, operation in operations(schema):
        where = f"{method} {address}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert "application/problem+json" in operation["responses"]["default"]["content"], where
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                assert parameter["description"], (where, parameter["name"])
        good = [code for code in operation["responses"] if code.startswith("2")]
        assert good, where
        for code in good:
            for kind, content in operation["responses"][code].get("content", {}).items():
                assert kind != "application/json" or content["examples"], (where, code)
        body = operation.get("requestBody", {}).get("content", {})
        if "application/json" in body:
            assert body["application/json"]["examples"], where


def test_changing_something_names_the_token(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {"token": []} in schema["paths"]["/api/v1/libraries/"]["post"]["security"]


def test_what_anybody_may_ask_says_so(schema: dict[str, Any]) -> None:
    for address, method, operation in operations(schema):
        tags = operation["tags"]
        public = not {"jobs", "models", "operation"} & set(tags) and "upload" not in address
        assert ({} in operation["security"]) == (public and (tags != ["libraries"] or method == "get")), (
            address
        )


ANSWERS = [
    (answers.SearchAnswer, examples.SEARCH),
    (answers.SearchAnswer, examples.SEARCH_FACETS),
    (answers.SuggestAnswer, examples.SUGGEST),
    (answers.MoleculeAnswer, examples.MOLECULE),
    (answers.NeighboursAnswer, examples.NEIGHBOURS),
    (answers.ExplanationAnswer, examples.EXPLANATION),
    (answers.ComparisonAnswer, examples.COMPARISON),
    (answers.DescribeAnswer, examples.DESCRIBE),
    (answers.LookupAnswer, examples.LOOKUP),
    (answers.LibraryList, examples.LIBRARIES),
    (answers.LibraryInfo, examples.LIBRARY_INFO),
    (answers.StartedAnswer, examples.CHECK),
    (answers.StartedAnswer, examples.IMPORT),
    (answers.UploadAnswer, examples.UPLOAD),
    (jobs.JobFull, job_examples.FULL),
    (jobs.JobFull, job_examples.STARTED),
    (jobs.JobPage, job_examples.PAGE),
    (jobs.KindList, job_examples.KINDS),
    (jobs.JobActionsAnswer, job_examples.ACTIONS),
    (jobs.Curves, job_examples.CURVES),
    (jobs.JobNews, job_examples.NEWS),
    (jobs.DataSetList, job_examples.DATASETS),
    (jobs.DataSetInfo, job_examples.DATASET),
    (models.ModelList, model_examples.MODELS),
    (models.ModelFull, model_examples.MODEL),
    (models.ModelComparison, model_examples.COMPARISON),
    (models.PromotionInfo, model_examples.PROMOTION),
    (models.PromotionInfo, model_examples.ROLLED_BACK),
    (models.PromotionInfo, model_examples.RETIRED),
    (models.PromotionList, model_examples.PROMOTIONS),
]
BODIES = [
    (parameters.SearchParameters, examples.SEARCH_BODY),
    (bodies.DepictBody, examples.DEPICT_BODY),
    (bodies.DescribeBody, examples.DESCRIBE_BODY),
    (bodies.LookupBody, examples.LOOKUP_BODY),
    (bodies.ExportBody, examples.EXPORT_BODY),
    (bodies.LibraryBody, examples.LIBRARY_BODY),
    (jobs.JobBody, job_examples.START_BODY),
    (jobs.CloneBody, job_examples.CLONE_BODY),
    (jobs.JobActionsBody, job_examples.ACTIONS_BODY),
    (models.PromoteBody, model_examples.PROMOTE_BODY),
    (models.PlaceBody, model_examples.PLACE_BODY),
]


@pytest.mark.parametrize(("serializer", "example"), ANSWERS)
def test_an_example_has_the_shape_that_is_promised(
    serializer: type[serializers.Serializer], example: Any
) -> None:
    assert same_shape(serializer(example.value).data, example.value)


@pytest.mark.parametrize(("serializer", "example"), BODIES)
def test_an_example_body_is_accepted(serializer: type[serializers.Serializer], example: Any) -> None:
    checked = serializer(data=example.value)
    assert checked.is_valid(), checked.errors


def same_shape(declared: Any, given: Any) -> bool:
    """True when both have the same keys at every depth."""
    if isinstance(given, dict):
        return set(declared) == set(given) and all(same_shape(declared[key], given[key]) for key in given)
    if isinstance(given, list):
        return len(declared) == len(given) and all(map(same_shape, declared, given))
    return True


def test_the_page_has_no_inline_script_and_no_other_host(client: APIClient) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    html = page.content.decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) >= 5
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert "<style" not in html
    assert " style=" not in html
    script = client.get(re.findall(r'<script src="([^"]*script[^"]*)"', html)[-1].replace("&amp;", "&"))
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "/api/schema/" in script.content.decode()
    assert not re.search(r"https?://", script.content.decode())
