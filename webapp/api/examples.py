"""Worked examples and shared path parameters for the schema; a test checks each against its serializer."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

LIBRARY = OpenApiParameter("library", str, OpenApiParameter.PATH, description="Library id, as in libraries/.")
MOLECULE_ID = OpenApiParameter(
    "identifier", str, OpenApiParameter.PATH, description="Molecule id within the library."
)
JOB_ID = OpenApiParameter("job", str, OpenApiParameter.PATH, description="Job id, as in jobs/ or libraries/.")
TOKEN = OpenApiParameter("token", str, OpenApiParameter.PATH, description="As answered by libraries/.")

GERANIOL = {
    "id": "geraniol",
    "name": "geraniol",
    "smiles": "CC(C)=CCC/C(C)=C/CO",
    "standard_smiles": "CC(C)=CCC/C(C)=C/CO",
    "standardisation": [],
    "inchikey": "GLZPCOQZEFWAFX-JXMROGBWSA-N",
    "formula": "C10H18O",
    "weight": 154.253,
    "exact_mass": 154.1358,
    "logp": 2.67,
    "tpsa": 20.23,
    "hbd": 1,
    "hba": 1,
    "rings": 0,
    "charge": 0,
    "stereocentres": 0,
    "heavy_atoms": 11,
    "rotatable": 4,
    "description": "An acyclic monoterpenoid alcohol with the scent of roses.",
    "synonyms": ["(E)-3,7-dimethylocta-2,6-dien-1-ol"],
    "category": "terpenes",
}
NEROL = {**GERANIOL, "id": "nerol", "name": "nerol", "smiles": "CC(C)=CCC/C(C)=C\\CO"}
NEROL |= {
    "standard_smiles": "CC(C)=CCC/C(C)=C\\CO",
    "inchikey": "GLZPCOQZEFWAFX-YFHOEESVSA-N",
    "synonyms": [],
    "description": "The cis isomer of geraniol.",
}
BRIEF = {name: GERANIOL[name] for name in ("id", "name", "smiles")}
MOTIFS = [
    {"index": 0, "label": "alcohol", "smiles": "CO", "atoms": [9, 10]},
    {"index": 1, "label": "prenyl", "smiles": "CC(C)=CC", "atoms": [0, 1, 2, 3, 4]},
]
PARTS = {"sentence": 0.71, "phrase": 0.64, "token": 0.58}
HIT = {
    "rank": 1,
    "score": 0.93,
    "score_words": "very likely",
    "library": "catalogue",
    "also_in": [],
    "molecule": GERANIOL,
    "matched": {
        "channels": ["meaning", "name"],
        "words": ["roses", "alcohol"],
        "linked": ["monoterpenoid"],
        "how": None,
        "similarity": None,
        "parts": PARTS,
    },
}
NEAR = {
    **HIT,
    "molecule": NEROL,
    "matched": {
        "channels": ["meaning", "structure"],
        "words": [],
        "linked": [],
        "how": "neighbour",
        "similarity": 0.81,
        "parts": None,
    },
}
SCORE = {"total": 0.93, **PARTS}
REPORT = {
    "read": 1204,
    "used": 1198,
    "refused": 2,
    "duplicates": 4,
    "refusals": [
        {"line": 78, "record": 77, "reason": "atom 19: carbon with 5 bonds", "raw": "C(C)(C)(C)(C)C,x77"},
        {"line": 204, "record": 203, "reason": "the SMILES column is empty", "raw": ",x203"},
    ],
    "format": "csv",
    "columns": {"smiles": "SMILES", "name": "name"},
    "notes": [],
    "sentence": "1,204 read: 1,198 used, 4 duplicates, 2 refused",
    "dry_run": True,
    "finished": True,
    "seconds": 0.8,
}
JOB_STATE = {
    "id": "8d0f5a0e",
    "kind": "library",
    "state": "running",
    "done": 600,
    "total": 1204,
    "message": "Under way.",
    "problem": None,
    "library": "in-house-amines",
    "upload": "u-5c0f",
}
CHECK_STATE = {**JOB_STATE, "kind": "check", "state": "queued", "done": 0, "total": None, "library": None}
CHECK_STATE["message"] = "Waiting for a worker."
CHECKED_STATE = {**CHECK_STATE, "state": "done", "done": 1204, "total": 1204, "message": "Done."}


def request(name: str, value: object) -> OpenApiExample:
    """An example of a body."""
    return OpenApiExample(name, value=value, request_only=True)


def answer(name: str, value: object, *codes: str) -> OpenApiExample:
    """An example of an answer, of status 200 unless ``codes`` say otherwise."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=list(codes) or ["200"])


FOUND = {
    "query": {
        "text": "a monoterpenoid alcohol that smells of roses",
        "kind": "prose",
        "label": "read as a description",
        "alternatives": [{"read_as": "name", "label": "read as a name"}],
        "canonical": None,
        "smiles": None,
        "inchikey": None,
        "formula": None,
        "smarts": None,
        "corrected": None,
        "notes": [],
    },
    "hits": [HIT],
    "total": 1042,
    "offset": 0,
    "k": 1,
    "sort": "score",
    "filters": {},
    "verdict": {"level": "found", "text": "At least one molecule fits this description."},
    "libraries": [
        {"id": "catalogue", "name": "Well-known molecules", "size": 1042, "fingerprint": "5b1c0e7a"}
    ],
    "model": "9f2ad4c1",
    "took_ms": 18.4,
    "notes": [],
}
FACETS = {
    "total": 1042,
    "numbers": [
        {
            "name": "weight",
            "min": 16.04,
            "max": 853.92,
            "edges": [0.0, 200.0, 400.0, 600.0, 853.92],
            "counts": [520, 380, 104, 38],
        }
    ],
    "categories": {"drugs": 388, "terpenes": 114},
    "libraries": [{"id": "catalogue", "name": "Well-known molecules", "count": 1042}],
}
SEARCH = answer("A scent in words", FOUND)
SEARCH_FACETS = answer("The same with facets=true", {**FOUND, "facets": FACETS})
SEARCH_BODY = request(
    "A scent in words, light molecules only",
    {
        "q": "a monoterpenoid alcohol that smells of roses",
        "k": 1,
        "weight_max": 200,
        "library": ["catalogue"],
    },
)
SUGGEST = answer(
    "Typed: ger",
    {"suggestions": [{"text": "geraniol", "name": "geraniol", "library": "catalogue", "id": "geraniol"}]},
)
MOLECULE = answer(
    "Geraniol",
    {
        "library": "catalogue",
        "library_name": "Well-known molecules",
        "molecule": {
            **GERANIOL,
            "inchi": "InChI=1S/C10H18O/c1-9(2)5-4-6-10(3)7-8-11/h5,7,11H,4,6,8H2,1-3H3/b10-7+",
            "descriptions": ["An acyclic monoterpenoid alcohol with the scent of roses."],
            "source": "built in",
            "properties": {"heavy_atoms": 11.0, "rotatable": 4.0},
            "motifs": MOTIFS,
        },
    },
)
NEIGHBOURS = answer(
    "Near geraniol",
    {"library": "catalogue", "id": "geraniol", "molecule": GERANIOL, "hits": [NEAR], "took_ms": 3.1},
)
DEPICT_BODY = request("Geraniol, its alcohol lit", {"structure": "CC(C)=CCC/C(C)=C/CO", "atoms": [9, 10]})
EXPLANATION = answer(
    "Rose alcohol and geraniol",
    {
        "text": "rose alcohol",
        "molecule": BRIEF,
        "words": [
            {"index": 0, "text": "rose", "start": 0, "end": 4, "telling": True},
            {"index": 1, "text": "alcohol", "start": 5, "end": 12, "telling": True},
        ],
        "motifs": MOTIFS,
        "plan": [[0.1, 0.4], [0.45, 0.05]],
        "links": [
            {"word": 1, "motif": 0, "mass": 0.45, "pull": 0.31},
            {"word": 0, "motif": 1, "mass": 0.4, "pull": 0.22},
        ],
        "atom_scores": [[0.4] * 9 + [0.1] * 2, [0.05] * 9 + [0.9] * 2],
        "score": SCORE,
    },
)
COMPARISON = answer(
    "Geraniol above nerol",
    {
        "text": "rose alcohol",
        "first": {"molecule": BRIEF, "score": SCORE},
        "second": {
            "molecule": {name: NEROL[name] for name in BRIEF},
            "score": {"total": 0.88, "sentence": 0.7, "phrase": 0.6, "token": 0.51},
        },
        "differences": [{"part": "token", "first": 0.58, "second": 0.51}],
        "words": [{"text": "rose", "first": 0.62, "second": 0.5, "favours": "first"}],
        "sentence": "Geraniol stands above nerol mainly because “rose” fits it better.",
    },
)
DESCRIBE_BODY = request("Geraniol", {"structure": "CC(C)=CCC/C(C)=C/CO", "k": 1})
DESCRIBE = answer(
    "Geraniol",
    {
        "smiles": "CC(C)=CCC/C(C)=C/CO",
        "texts": [
            {
                "text": GERANIOL["description"],
                "score": 0.97,
                "own": True,
                "library": "catalogue",
                "id": "geraniol",
                "name": "geraniol",
            }
        ],
    },
)
LOOKUP_BODY = request("Two names and a key", {"items": ["geraniol", "unobtainium", "GLZPCOQZEFWAFX"]})
LOOKUP = answer(
    "Two names and a key",
    {
        "items": [
            {
                "item": "geraniol",
                "status": "found",
                "kind": "name",
                "matches": [{"library": "catalogue", **BRIEF, "inchikey": GERANIOL["inchikey"]}],
                "note": "",
            },
            {
                "item": "unobtainium",
                "status": "not found",
                "kind": "name",
                "matches": [],
                "note": "No name or synonym is near.",
            },
            {
                "item": "GLZPCOQZEFWAFX",
                "status": "ambiguous",
                "kind": "inchikey",
                "matches": [
                    {"library": "catalogue", **BRIEF, "inchikey": GERANIOL["inchikey"]},
                    {
                        "library": "catalogue",
                        **{name: NEROL[name] for name in BRIEF},
                        "inchikey": NEROL["inchikey"],
                    },
                ],
                "note": "The first block names the skeleton only.",
            },
        ],
        "found": 1,
        "ambiguous": 1,
        "not_found": 1,
    },
)
EXPORT_BODY = request(
    "Two rows as SDF",
    {
        "format": "sdf",
        "rows": [
            {"library": "catalogue", "id": "geraniol", "rank": 1, "score": 0.93},
            {"library": "catalogue", "id": "nerol"},
        ],
    },
)
LIBRARY_STATE = {
    "id": "catalogue",
    "name": "Well-known molecules",
    "size": 1042,
    "fingerprint": "5b1c0e7a",
    "status": "ready",
    "mine": False,
}
LIBRARIES = answer("One library", {"libraries": [LIBRARY_STATE]})
LIBRARY_INFO = answer("The built-in catalogue", LIBRARY_STATE)
LIBRARY_BODY = OpenApiExample(
    "Import a checked file",
    value={"token": "u-5c0f", "name": "In-house amines"},
    request_only=True,
    media_type="application/json",
)
CHECK = answer("Dry run started", {"token": "u-5c0f", "job": CHECK_STATE}, "202")
IMPORT = answer("Import started", {"token": "u-5c0f", "job": JOB_STATE}, "202")
UPLOAD = answer(
    "Checked", {"token": "u-5c0f", "file": "molecules.csv", "job": CHECKED_STATE, "report": REPORT}
)
