"""Worked examples of jobs and data sets for the schema; a test checks each against its serializer."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter

from webapp.api.examples import answer, request

KEY = "3d1f6c5e-9f1b-4f0e-8d57-0a4f2b8f1c11"
ID = "8d0f5a0e-53c4-4a3e-9f0b-6f2f8f6f9a51"
OTHER = "f1c9d7aa-0b7e-4d0c-9a3b-2f4f0c1e7b10"
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,80}$"},
    OpenApiParameter.HEADER,
    description="A word of your own, such as a UUID: sent twice, started once.",
)
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The id of the last event that was seen; browsers send it by themselves.",
)
DATASET_NAME = OpenApiParameter(
    "name", str, OpenApiParameter.PATH, description="As in datasets/; it may contain slashes."
)

METRICS = {"loss": 1.284, "tuning mrr": 0.412}
LINE = {
    "id": ID,
    "kind": "retrieval",
    "state": "running",
    "done": 1200,
    "total": 3096,
    "message": "14:05:31 epoch 2, step 1200",
    "problem": None,
    "library": None,
    "upload": None,
    "name": "more terpenes",
    "title": "Text-to-molecule model",
    "queue": "training",
    "owner": "theo",
    "standing": "running",
    "created": "2026-05-03T13:58:02Z",
    "started": "2026-05-03T13:58:04Z",
    "finished": None,
    "seconds": 447.2,
    "rate": 2.7,
    "seconds_left": 702.2,
    "epoch": 1.16,
    "metrics": METRICS,
    "may": ["stop", "clone"],
}
PARAMETERS = {
    "data": {"train": "ferry/catalogue.tsv"},
    "preset": "small",
    "overrides": {"joint_epochs": 2},
}
JOB = {
    **LINE,
    "parameters": PARAMETERS,
    "attempts": 1,
    "worker": "lab-1:4120",
    "heartbeat": "2026-05-03T14:05:30Z",
    "resources": {"memory_mb": 912.0, "cpu": 1.9},
    "log": "13:58:04 begun\n14:05:31 epoch 2, step 1200",
    "error": "",
    "ended_by": "",
    "result": {},
    "parent": None,
    "place": None,
    "not_before": None,
    "versions": [],
}
NEW = {
    **JOB,
    "state": "queued",
    "standing": "queued",
    "done": 0,
    "total": None,
    "message": "Waiting for a worker.",
    "started": None,
    "seconds": None,
    "rate": None,
    "seconds_left": None,
    "epoch": None,
    "metrics": {},
    "attempts": 0,
    "worker": "",
    "heartbeat": None,
    "resources": {},
    "log": "",
    "place": 0,
}
FULL = answer("A training under way", JOB)
STARTED = answer("It waits", NEW, "201")
PAGE = answer("One training", {"jobs": [LINE], "total": 1, "offset": 0, "k": 50})
START_BODY = request(
    "A small training", {"kind": "retrieval", "parameters": PARAMETERS, "name": "more terpenes"}
)
CLONE_BODY = request(
    "The same with another preset", {"changes": {"preset": "cpu", "overrides": {}}, "name": "the long one"}
)
ACTIONS_BODY = request("Stop two", {"action": "stop", "jobs": [ID, OTHER]})
ACTIONS = answer(
    "One stopped, one left",
    {
        "action": "stop",
        "done": 1,
        "outcomes": [
            {"id": ID, "done": True, "message": "asked to stop; what runs ends at its next step, saved"},
            {"id": OTHER, "done": False, "message": "It is done, so it was left as it is."},
        ],
    },
)
KINDS = answer(
    "One kind",
    {
        "kinds": [
            {
                "name": "retrieval",
                "title": "Text-to-molecule model",
                "description": "Trains ORMA on pairs of molecules and descriptions, and builds its catalogue.",
                "hours": 72.0,
                "data": [
                    {
                        "name": "train",
                        "help": "a table with the columns SMILES and description",
                        "required": True,
                    }
                ],
                "parameters": {
                    "type": "object",
                    "properties": {
                        "data": {
                            "type": "object",
                            "properties": {"train": {"type": "string"}},
                            "required": ["train"],
                            "additionalProperties": False,
                        },
                        "preset": {"type": "string", "default": "cpu", "enum": ["cpu", "small"]},
                        "overrides": {"type": "object"},
                    },
                    "required": ["data"],
                    "additionalProperties": False,
                },
                "presets": [
                    {
                        "name": "small",
                        "parameters": {
                            "type": "object",
                            "properties": {
                                "joint_epochs": {
                                    "type": "integer",
                                    "default": 1,
                                    "description": "of the second phase",
                                    "minimum": 0,
                                }
                            },
                            "required": [],
                            "additionalProperties": False,
                        },
                    }
                ],
                "outlook": {
                    "queue": "training",
                    "waiting": 1,
                    "running": 1,
                    "workers": 1,
                    "begins_in": 5400.0,
                    "takes": 3600.0,
                },
            }
        ]
    },
)
CURVES = answer(
    "Two points",
    {
        "metrics": ["loss"],
        "points": [
            {"attempt": 1, "step": 100, "seconds": 38.1, "epoch": 0.1, "values": {"loss": 3.91}},
            {"attempt": 1, "step": 200, "seconds": 75.4, "epoch": 0.19, "values": {"loss": 3.02}},
        ],
        "measured": 2,
    },
)
NEWS = answer(
    "One event after a wait",
    {
        "job": LINE,
        "events": [
            {"seq": 41, "data": {"state": "running", "done": 1200, "total": 3096, "metrics": METRICS}}
        ],
        "after": 41,
        "open": True,
    },
)
OWN_SET = {"name": "terpenes.tsv", "bytes": 48_211, "own": True}
DATASET = answer("Stored", OWN_SET, "201")
DATASETS = answer(
    "The shipped one and one that was brought",
    {
        "datasets": [{"name": "ferry/catalogue.tsv", "bytes": 183_402, "own": False}, OWN_SET],
        "endings": [".tsv", ".csv", ".npy", ".npz"],
    },
)
