"""Worked examples of models for the schema; a test checks each against its serializer."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter

from webapp.api.examples import answer, request

MODEL_ID = OpenApiParameter(
    "version", int, OpenApiParameter.PATH, description="Id of a version, as in models/."
)
JOB = "8d0f5a0e-53c4-4a3e-9f0b-6f2f8f6f9a51"
METRICS = {"full.text_to_molecule.mrr": 0.318, "full.text_to_molecule.hits@1": 0.221}
LINE = {
    "id": 7,
    "version": 3,
    "active": False,
    "hash": "9f2ad4c1",
    "bytes": 14_210_331,
    "created": "2026-05-03T15:20:11Z",
    "job": JOB,
    "parent": 5,
    "metrics": METRICS,
}
DATA = [{"name": "validation.tsv", "use": "queries", "sha256": "41c0b2"}]
CHANGE = {
    "id": 12,
    "area": "retrieval",
    "slot": "",
    "before": 2,
    "before_hash": "77aa01f3",
    "after": 3,
    "after_hash": "9f2ad4c1",
    "who": "ada",
    "why": "Better on terpenes, no worse elsewhere.",
    "evidence": {"evaluation": 4, "metrics": METRICS, "data": DATA},
    "created": "2026-05-03T16:02:40Z",
}
BACK = {**CHANGE, "id": 13, "before": 3, "before_hash": "9f2ad4c1", "after": 2, "after_hash": "77aa01f3"}
BACK |= {"why": "Slower than expected.", "evidence": {"roll back of": 12}}
GONE = {**BACK, "id": 14, "before": 2, "before_hash": "77aa01f3", "after": 0, "after_hash": "c0ffee12"}
GONE |= {"why": "Starting over.", "evidence": {}}

MODELS = answer(
    "One area",
    {
        "models": [
            {
                "area": "retrieval",
                "slot": "",
                "place": "retrieval",
                "answers": 0,
                "shipped": {"hash": "c0ffee12", "metrics": {"full.text_to_molecule.mrr": 0.301}},
                "versions": [LINE],
            }
        ]
    },
)
MODEL = answer(
    "A version",
    {
        **LINE,
        "area": "retrieval",
        "slot": "",
        "place": "retrieval",
        "card": {"name": "retrieval", "sha256": "9f2ad4c1"},
        "configuration": {"model": {"dim": 256}, "job": {"preset": "small"}, "training": {}},
        "children": [],
        "evaluations": [
            {
                "id": 4,
                "metrics": {"full": {"text_to_molecule": {"mrr": 0.318, "hits@1": 0.221}}},
                "data": DATA,
                "command": "python -m mlcore evaluate retrieval --model DIR --queries validation.tsv",
                "job": JOB,
                "created": "2026-05-03T15:58:00Z",
            }
        ],
        "promotions": [],
        "may": ["promote", "delete"],
    },
)
COMPARISON = answer(
    "A version beside the shipped model",
    {
        "versions": [
            {
                "key": "shipped:retrieval",
                "label": "retrieval shipped",
                "measured_on": "",
                "job": None,
            },
            {"key": "7", "label": "retrieval v3", "measured_on": "validation.tsv", "job": JOB},
        ],
        "metrics": [
            {"source": "Latest evaluation", "name": "full.text_to_molecule.mrr", "values": [None, 0.318]}
        ],
        "parameters": [{"name": "job.preset", "values": [None, "small"]}],
    },
)
PROMOTE_BODY = request("On an evaluation", {"why": CHANGE["why"], "evaluation": 4})
PLACE_BODY = request("Retrieval", {"area": "retrieval", "why": BACK["why"]})
PROMOTION = answer("It answers", CHANGE)
ROLLED_BACK = answer("Back to version 2", BACK)
RETIRED = answer("Back to the shipped model", GONE)
PROMOTIONS = answer(
    "What answered at five",
    {
        "promotions": [CHANGE],
        "total": 1,
        "offset": 0,
        "k": 50,
        "served": {
            "area": "retrieval",
            "slot": "",
            "at": "2026-05-03T17:00:00Z",
            "version": 3,
            "hash": "9f2ad4c1",
        },
    },
)
