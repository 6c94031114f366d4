"""The floors of the house: who may import whom, and what merely starting the web may load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "rdkit", "faiss", "transformers", "sklearn", "scipy", "ot")

#: floor → top-level names that must not be imported anywhere in it
NEVER = {
    "mlcore": {"django", "rest_framework", "celery", "kombu", "redis", "workers", "webapp"},
    "workers": {"webapp", *HEAVY} - {"rdkit"},
    "webapp": {"mlcore", "celery", "kombu", *HEAVY},
}
#: floor → top-level names that may be imported inside functions only
LAZILY = {"workers": {"mlcore", "torch", "rdkit"}}
#: the two places where the workers floor touches a heavy library itself, inside a function
ALLOWED = {("workers/science.py", "torch"), ("workers/science.py", "rdkit")}


def sources(floor: str) -> list[Path]:
    """Every Python file of a floor."""
    return sorted((ROOT / floor).rglob("*.py"))


def imports(tree: ast.AST, inside: bool = False, typing_only: bool = False) -> Iterator[tuple[str, bool]]:
    """Top-level names that are imported, each with whether that happens inside a function (or for types only)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name.split(".")[0], inside or typing_only) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], inside or typing_only
        else:
            lazy = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            types = typing_only or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
            yield from imports(node, lazy, types)


@pytest.mark.parametrize("floor", list(NEVER))
def test_nothing_looks_up_and_only_workers_open_the_door(floor):
    faults = []
    assert sources(floor), floor
    for path in sources(floor):
        name = str(path.relative_to(ROOT))
        for imported, lazy in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if (name, imported) in ALLOWED and lazy:
                continue
            if imported in NEVER[floor] or (imported in LAZILY.get(floor, ()) and not lazy):
                faults.append(f"{name} imports {imported}{'' if lazy else ' at its top'}")
    assert not faults, "\n".join(faults)


def test_the_rule_sees_what_it_should():
    text = "import torch\ndef f():\n    from mlcore.retrieval import search\nif TYPE_CHECKING:\n    import rdkit\n"
    assert list(imports(ast.parse(text))) == [("torch", False), ("mlcore", True), ("rdkit", True)]


def loaded_by(statement: str) -> set[str]:
    """Names of heavy packages that a fresh interpreter has loaded after ``statement``."""
    names = (*HEAVY, "mlcore", "celery", "numpy")
    code = f"{statement}\nimport sys\nprint(*(n for n in {names!r} if n in sys.modules))"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_addresses_load_no_science():
    found = loaded_by(
        "import django; django.setup(); import webapp.urls; import workers.inference, workers.admin"
    )
    assert not found & {"torch", "rdkit", "faiss", "transformers", "mlcore"}, found


def test_the_worker_process_starts_without_the_science():
    found = loaded_by(
        "import django; django.setup(); import workers.celery, workers.tasks.bells, workers.tasks.answers"
    )
    assert not found & {"torch", "rdkit", "faiss", "transformers", "mlcore"}, found


def test_importing_the_packages_of_the_science_is_cheap():
    assert not loaded_by("import mlcore, mlcore.retrieval, mlcore.runtime") & {
        "torch",
        "rdkit",
        "faiss",
        "numpy",
    }


def test_transport_can_be_imported_alone():
    """It stands on ``mlcore.runtime`` and on nothing else of Ferry's."""
    files = sorted((ROOT / "mlcore" / "transport").rglob("*.py"))
    assert len(files) > 30
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in names(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in ("webapp", "workers")
        or (name.startswith("mlcore.") and name.split(".")[1] not in ("transport", "runtime"))
    }
    assert not found, found


def names(tree: ast.Module) -> set[str]:
    """The modules that a file imports, whole."""
    froms = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return froms | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }


ELSEWHERE = (
    'src="http',
    "src='http",
    "@import",
    "url(http",
    'from "http',
    'import("http',
    "//cdn",
    "<script>",
)


def test_no_page_asks_another_host():
    files = [path for path in (ROOT / "frontend").rglob("*") if path.suffix in (".html", ".js", ".css")]
    assert len(files) > 10
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in files}
    assert not [f"{path} has {mark}" for path, text in texts.items() for mark in ELSEWHERE if mark in text]
