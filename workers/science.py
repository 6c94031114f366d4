"""Where the door meets the science: one function a verb, ``mlcore`` imported inside it.

Each ``do_<verb>`` takes what is loaded and the checked arguments of the verb, and returns JSON-able values (``depict``
and ``export`` bytes). The science's errors become those of this floor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers import decoding, transport
from workers.decoding import (  # noqa: F401  the verbs of the decoding methods
    do_decoding_describe,
    do_decoding_estimate,
    do_decoding_frontier,
    do_decoding_generate,
    do_decoding_models,
    do_decoding_watch,
)
from workers.errors import BadInput, NotFound, translated
from workers.transport import (  # noqa: F401  the verbs of the transport laboratory
    do_transport_estimate,
    do_transport_file,
    do_transport_map,
    do_transport_map_estimate,
    do_transport_plan,
    do_transport_points,
    do_transport_solvers,
    do_transport_sweep,
    do_transport_watch,
)

if TYPE_CHECKING:
    from workers.engine import Loaded

#: verbs that need neither model nor library
WITHOUT_MODEL = frozenset({"depict", "molfile"}) | transport.VERBS | decoding.VERBS
BRIEF = ("id", "name", "smiles", "inchikey")
REHEARSAL = "a colourless liquid that smells of oranges"

Verb = Callable[..., Any]


def _in_words(verb: Verb) -> Verb:
    """Turn the errors of ``mlcore`` into those of this floor."""

    @wraps(verb)
    def act(*args: Any, **options: Any) -> Any:
        with translated():
            return verb(*args, **options)

    return act


# -- loading -----------------------------------------------------------------------------------------------------------


def set_threads(count: int) -> None:
    """How many threads one encoding may use."""
    import torch

    torch.set_num_threads(count)


@_in_words
def load_model(folder: Path) -> Any:
    """The retrieval model in ``folder``. Raises Busy when it is missing or damaged."""
    from mlcore.retrieval.model import RetrievalModel

    return RetrievalModel.load(folder)


@_in_words
def open_library(folder: Path, fingerprint: str) -> Any:
    """The library in ``folder``. Raises Busy when it is damaged or was built by another model."""
    from mlcore.retrieval.library import Library

    return Library.open(folder, model_fingerprint=fingerprint)


def built_by(folder: Path) -> str | None:
    """The hash of the model that built the library in ``folder``, if its manifest says so."""
    try:
        return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_searcher(model: Any, libraries: Mapping[str, Any], before: Any = None) -> Any:
    """Something that searches all of ``libraries``; what ``before`` holds in memory of them is kept."""
    from mlcore.retrieval.search import Searcher

    return before.with_libraries(libraries) if before is not None else Searcher(model, libraries)


def rehearse(loaded: Loaded) -> None:
    """Build every index and answer one question of each kind, so that the first person does not wait."""
    loaded.searcher.warm()
    if loaded.libraries:
        do_search(loaded, text=REHEARSAL, libraries=tuple(loaded.libraries))
    do_depict("CCO")


# -- verbs -------------------------------------------------------------------------------------------------------------


@_in_words
def do_search(
    loaded: Loaded,
    *,
    text: str,
    libraries: tuple[str, ...],
    filters: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Rank molecules."""
    from mlcore.retrieval.search import SearchRequest

    request = SearchRequest(text=text, libraries=libraries, filters=_filters(filters or {}), **options)
    return loaded.searcher.search(request)


@_in_words
def do_suggest(loaded: Loaded, *, prefix: str, libraries: tuple[str, ...], k: int) -> dict[str, Any]:
    """Complete a name: each with the molecule that it leads to, each molecule once."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for shelf in loaded.searcher.chosen(libraries):
        matches = shelf.names.begins(prefix[:200], most=k)
        rows = shelf.library.rows([match.row for match in matches])
        for match, row in zip(matches, rows, strict=True):
            entry = {"text": match.name, "name": row.name, "library": shelf.library.id, "id": row.id}
            found.setdefault((row.inchikey or row.id, match.name), entry)
    return {"suggestions": list(found.values())[:k]}


@_in_words
def do_molecule(loaded: Loaded, *, library: str, id: str) -> dict[str, Any]:
    """One molecule."""
    from mlcore.retrieval.answer import molecule_json
    from mlcore.retrieval.structure import read_structure

    shelf = loaded.libraries[library]
    row = shelf.row(_row(loaded, library, id))
    return {
        "library": library,
        "library_name": shelf.name,
        "molecule": {
            **molecule_json(row),
            "inchi": read_structure(row.smiles).inchi,
            "descriptions": list(row.descriptions),
            "source": row.source,
            "properties": dict(row.properties),
            "motifs": _motifs(row.smiles),
        },
    }


@_in_words
def do_neighbours(loaded: Loaded, *, library: str, id: str, k: int) -> dict[str, Any]:
    """What is near it, in its own library."""
    _row(loaded, library, id)
    return {"id": id, **loaded.searcher.neighbours(library, id, k=k, libraries=(library,))}


@_in_words
def do_describe(loaded: Loaded, *, structure: str, libraries: tuple[str, ...], k: int) -> dict[str, Any]:
    """Texts for a structure."""
    from mlcore.retrieval.describe import describe

    found = describe(structure, loaded.searcher, libraries=libraries, k=k)
    texts = [
        {
            "text": entry["text"],
            "score": min(max(entry["score"], 0.0), 1.0),
            "own": entry["own"],
            "library": entry["library"],
            "id": entry["molecule"]["id"],
            "name": entry["molecule"]["name"],
        }
        for entry in found["texts"]
    ]
    return {"smiles": found["structure"]["smiles"], "texts": texts}


@_in_words
def do_lookup(loaded: Loaded, *, items: Sequence[str], libraries: tuple[str, ...]) -> dict[str, Any]:
    """A list, item by item."""
    from mlcore.retrieval.lookup import lookup

    found = lookup(items, loaded.searcher, libraries=libraries)
    lines = []
    for entry in found["items"]:
        matches = [
            {"library": match["library"], **{name: match["molecule"][name] for name in BRIEF}}
            for match in entry["matches"]
        ]
        status = "not found" if entry["status"] == "unreadable" else entry["status"]
        facts = {"item": entry["text"], "status": status, "kind": entry["kind"], "note": entry["note"]}
        lines.append({**facts, "matches": matches})
    counts = Counter(line["status"] for line in lines)
    return {
        "items": lines,
        "found": counts["found"],
        "ambiguous": counts["ambiguous"],
        "not_found": counts["not found"],
    }


@_in_words
def do_explain(loaded: Loaded, *, text: str, library: str, id: str) -> dict[str, Any]:
    """Why a molecule fits."""
    from mlcore.retrieval.explain import explain

    row = loaded.libraries[library].row(_row(loaded, library, id))
    return explain(loaded.searcher.model, text, row)


@_in_words
def do_compare(loaded: Loaded, *, text: str, library: str, first: str, second: str) -> dict[str, Any]:
    """Why one stands above the other."""
    from mlcore.retrieval.explain import compare

    rows = [loaded.libraries[library].row(_row(loaded, library, id)) for id in (first, second)]
    return compare(loaded.searcher.model, text, *rows)


@_in_words
def do_export(
    loaded: Loaded, *, format: str, rows: Sequence[Sequence[Any]], query: str
) -> tuple[str, str, bytes, list[str]]:
    """A file of the chosen rows, in their order: (library, id), or (library, id, rank, score) for hits.

    The last of the answer says, a sentence each, what could not be written.
    """
    from mlcore.retrieval.export import ExportRow, export

    chosen = []
    for library, id, *found in rows:
        if library not in loaded.libraries:
            raise NotFound(f"The library '{library[:60]}' is not here, or is still being imported.")
        index = _row(loaded, library, id)
        rank, score = found or (None, None)
        chosen.append(ExportRow(library, loaded.libraries[library].row(index), rank, score))
    made = export(format, chosen, query=query)
    return made.filename, made.content_type, made.data, list(made.notes)


def do_libraries(loaded: Loaded) -> list[dict[str, Any]]:
    """The open libraries."""
    return [
        {"id": name, "name": library.name, "size": library.size, "fingerprint": library.fingerprint}
        for name, library in loaded.libraries.items()
    ]


@_in_words
def do_depict(structure: str, **options: Any) -> bytes:
    """A drawing. A SMILES is drawn as it is, so that ``atoms`` means its atoms."""
    from mlcore.retrieval.depict import depict
    from mlcore.retrieval.structure import read_any

    if "\n" in structure or structure.lstrip().startswith("InChI="):
        structure = read_any(structure, field="structure").smiles
    return depict(structure.strip(), **options)


@_in_words
def do_molfile(structure: str) -> str:
    """A molfile."""
    from mlcore.retrieval.structure import molfile, read_any

    return molfile(read_any(structure, field="structure").smiles)


def report_json(report: Any) -> dict[str, Any]:
    """An import report as JSON, without paths of this machine."""
    return {name: value for name, value in report.as_dict().items() if name != "refused_file"}


def _row(loaded: Loaded, library: str, id: str) -> int:
    """The row number of a molecule. Raises NotFound."""
    try:
        return loaded.libraries[library].index_of(id)
    except KeyError:
        raise NotFound(f"There is no molecule '{id[:60]}' in the library '{library[:60]}'.") from None


def _motifs(smiles: str) -> list[dict[str, Any]]:
    """The motifs of a molecule of a library: what the importer has read once can be read again here."""
    from rdkit import Chem

    from mlcore.retrieval.motif_names import name_motifs
    from mlcore.retrieval.motifs import motifs_or_whole

    mol = Chem.MolFromSmiles(smiles)
    return name_motifs(mol, motifs_or_whole(mol))


def _filters(given: Mapping[str, Any]) -> Any:
    """Flat filters as the science's own. Raises BadInput for a name that nothing reads."""
    from mlcore.retrieval.filters import Filters

    values = {
        name: list(value) if isinstance(value, list | tuple) else str(value)
        for name, value in given.items()
        if value not in (None, "", [], ())
    }
    filters = Filters.parse(values)
    unread = set(values) - set(filters.parameters()) - {"similarity", "mass_tolerance"}
    if unread:
        raise BadInput(f"There is no filter called {', '.join(sorted(unread))}.", min(unread))
    return filters
