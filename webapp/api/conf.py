"""Settings of the REST framework and of the schema, for ``webapp.settings`` to take over."""

from __future__ import annotations

from typing import Any

import environ

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "webapp.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["webapp.api.access.ReadOrMember"],
    "DEFAULT_THROTTLE_CLASSES": ["webapp.api.throttles.RateThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["webapp.api.parsers.LimitedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "webapp.api.negotiation.FixedNegotiation",
    "DEFAULT_SCHEMA_CLASS": "webapp.api.schema.OpenSchema",
    "EXCEPTION_HANDLER": "webapp.api.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": environ.Env().int("FERRY_PROXIES", 0),
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Ferry",
    "DESCRIPTION": (
        "Find molecules by describing them, and see why each one was found. "
        "Reading and searching need no log-in; whatever changes something does: "
        "send `Authorization: Bearer TOKEN` with a token of your token page, /accounts/tokens/. "
        "Errors are problem details (RFC 9457) of type `application/problem+json`."
    ),
    "VERSION": "1",
    "LICENSE": {"name": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "defaultModelsExpandDepth": 0},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "webapp.api.schema.add_problems",
    ],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_NAME_OVERRIDES": {
        "StereoMatch": [("respect", "respect"), ("ignore", "ignore")],
        "StereoLabels": [("show", "show"), ("hide", "hide")],
        "JobVerb": [(verb, verb) for verb in ("stop", "resume", "clone", "delete")],
        "ModelVerb": [("promote", "promote"), ("delete", "delete")],
    },
    "TAGS": [
        {"name": "search", "description": "From words to molecules."},
        {"name": "molecules", "description": "One molecule: facts, neighbours, drawings."},
        {"name": "explanation", "description": "Why something was found."},
        {"name": "structures", "description": "From structures and lists to what is known about them."},
        {"name": "export", "description": "Files to take away."},
        {"name": "transport", "description": "Optimal transport between point clouds: plans and maps."},
        {
            "name": "decoding",
            "description": "Molecules for texts and texts for molecules, by several decoding methods.",
        },
        {"name": "libraries", "description": "Collections of molecules; your own among them."},
        {
            "name": "jobs",
            "description": "Long work: trainings, evaluations, imports, and the data they read.",
        },
        {"name": "models", "description": "Versions of models: which one answers, and why."},
        {"name": "operation", "description": "For whoever runs this server."},
    ],
}
