"""``python -m mlcore search --library DIR "text"``: the search of the pages on the command line."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mlcore.retrieval.filters import Filters
from mlcore.retrieval.shelf import NUMBERS
from mlcore.runtime.errors import InputError, LibraryError, ModelError

#: where the shipped model lies
MODEL = Path(__file__).resolve().parents[2] / "models" / "retrieval"
_FILTERS = (
    *(f"{name}_{end}" for name in NUMBERS for end in ("min", "max")),
    "mass", "mass_tolerance", "elements", "without", "only", "substructure", "similar_to", "similarity", "category",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``search``."""
    parser.add_argument(
        "text", help="a description, name, formula, SMILES, InChI, InChIKey or SMARTS; - reads it"
    )
    parser.add_argument(
        "--library", required=True, action="append", metavar="DIR", help="a library folder; repeats"
    )
    parser.add_argument("-k", type=int, default=10, help="hits to show (default 10)")
    parser.add_argument("--offset", type=int, default=0, help="hits to skip")
    parser.add_argument(
        "--model", default=str(MODEL), metavar="DIR", help="model folder (default: the shipped one)"
    )
    parser.add_argument("--read-as", default="auto", metavar="KIND", help="prose, name, formula, smiles, ...")
    parser.add_argument("--mode", default="auto", help="for structures: auto, exact, similar or contains")
    parser.add_argument(
        "--same", default="compound", help="the same molecule as a structure: compound, parent or tautomer"
    )
    parser.add_argument("--stereo", default="respect", help="respect or ignore")
    parser.add_argument(
        "--sort", default="score", help="score, name, weight, logp, ...; -weight for descending"
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"repeats; keys: {', '.join(_FILTERS)}",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Search and print; the exit status is 0, or 2 when the input, the model or a library cannot be used."""
    try:
        found = _answer(arguments)
    except (InputError, LibraryError, ModelError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    if arguments.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(in_lines(found, shutil.get_terminal_size((100, 24)).columns))
    return 0


def filters_from(pairs: list[str]) -> Filters:
    """The filters of ``KEY=VALUE`` pairs."""
    given: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in _FILTERS:
            raise InputError(
                f"'{pair[:60]}' is no filter.", field="filter", remedy=f"Keys: {', '.join(_FILTERS)}."
            )
        given.setdefault(key, []).append(value)
    return Filters.parse(given)


def _answer(arguments: argparse.Namespace) -> dict[str, Any]:
    from mlcore.retrieval.library import Library
    from mlcore.retrieval.model import RetrievalModel
    from mlcore.retrieval.search import Searcher, SearchRequest

    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    request = SearchRequest(
        text,
        read_as=arguments.read_as,
        mode=arguments.mode,
        same=arguments.same,
        filters=filters_from(arguments.filter),
        k=arguments.k,
        offset=arguments.offset,
        sort=arguments.sort,
        stereo=arguments.stereo,
    )
    request.check()
    model = RetrievalModel.load(arguments.model)
    opened = [Library.open(folder, model_fingerprint=model.fingerprint) for folder in arguments.library]
    return Searcher(model, {library.id: library for library in opened}).search(request)


def in_lines(found: dict[str, Any], width: int = 100) -> str:
    """An answer for people: how the query was read, one line a hit, the verdict."""
    lines = [found["query"]["label"]]
    lines += [f"  {note}" for note in (*found["query"]["notes"], *found["notes"])]
    for hit in found["hits"]:
        molecule = hit["molecule"]
        head = f"{hit['rank']:>4}  {hit['score']:.2f}  {molecule['name']}"
        tail = f"  {molecule['formula']}  {molecule['weight']:.2f} Da  {molecule['smiles']}"
        line = f"{head:<38}{tail}"
        lines.append(line if len(line) <= width else f"{line[: width - 1]}…")
    if found["hits"]:
        lines.append(f"{found['hits'][0]['rank']}-{found['hits'][-1]['rank']} of {found['total']:,}")
    lines.append(found["verdict"]["text"])
    return "\n".join(lines) + "\n"
