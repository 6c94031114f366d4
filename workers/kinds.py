"""The kinds of long work: what each needs, which queue takes it, which function does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import import_module
from typing import Any

from workers.errors import BadInput


@dataclass(frozen=True)
class CheckParameters:
    """Read a file of molecules to its end without importing it."""

    upload: str  # token of the upload, see workers.uploads
    name: str = ""  # what the library is to be called, if that is known already


@dataclass(frozen=True)
class LibraryParameters:
    """Import a file of molecules."""

    library: str  # id of the Library row
    upload: str  # token of the upload, see workers.uploads
    name: str  # what the library is called


@dataclass(frozen=True)
class RetrievalParameters:
    """Train a retrieval model."""

    data: dict[str, str]  # name → path
    preset: str = "cpu"
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MongeParameters:
    """Learn a map between two clouds of points."""

    data: dict[str, str]  # source and target → path, or one .npz with both by any name
    preset: str = "cpu"
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One kind of job."""

    name: str
    queue: str
    parameters: type
    function: str  # "module:function", imported when the work starts

    def read(self, values: Mapping[str, Any]) -> Any:
        """The parameters as their dataclass. Raises BadInput for names that are missing or unknown."""
        known = {entry.name: entry for entry in fields(self.parameters)}
        unknown = sorted(set(values) - set(known))
        needed = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
        missing = sorted(needed - set(values))
        if unknown or missing:
            faults = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [
                f"needs {', '.join(missing)}"
            ] * bool(missing)
            raise BadInput(
                f"A job of kind '{self.name}' {' and '.join(faults)}.",
                "parameters",
                f"It takes {', '.join(known)}.",
            )
        return self.parameters(**values)

    def load(self) -> Callable[..., dict[str, Any]]:
        """The function that does the work."""
        module, name = self.function.split(":")
        return getattr(import_module(module), name)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("check", "indexing", CheckParameters, "workers.tasks.check:run"),
        Kind("library", "indexing", LibraryParameters, "workers.tasks.library:run"),
        Kind("retrieval", "training", RetrievalParameters, "workers.tasks.retrieval:run"),
        Kind("monge", "training", MongeParameters, "workers.tasks.monge:run"),
    )
}


def find(name: str) -> Kind:
    """The kind called ``name``. Raises BadInput when there is none."""
    try:
        return KINDS[name]
    except KeyError:
        raise BadInput(
            f"There is no kind of job called '{name}'.", "kind", f"Choose {', '.join(KINDS)}."
        ) from None


def plain(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON."""
    return asdict(parameters)
