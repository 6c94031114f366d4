"""The kinds of long work. One entry gives form, API schema, command line and admin; later kinds add one entry each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workers import datasets
from workers.errors import BadInput, translated

if TYPE_CHECKING:
    from mlcore.runtime.options import Option


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
class RebuildParameters:
    """Encode a library again with the model in use."""

    library: str  # id of the Library row


@dataclass(frozen=True)
class TrainingParameters:
    """What every training needs: data sets by name, a preset, and changes to it."""

    data: dict[str, str]  # name → data set, see workers.datasets
    preset: str = "cpu"
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationParameters:
    """Measure a version on named data."""

    version: int  # key of the ModelVersion row; 0 with ``area`` for the model that ships with Ferry
    data: dict[str, str]  # name → data set, see workers.datasets
    area: str = "retrieval"


@dataclass(frozen=True)
class Slot:
    """A data set that a kind asks for: the name it goes by, what it is, and whether it can be left out."""

    name: str
    help: str
    required: bool = True


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    ``function`` and ``presets`` are ``module:name`` and imported when they are needed. ``internal`` kinds are begun by
    other pages, not by a form. ``hours`` is when the watchdog stops it, saved.
    """

    name: str
    queue: str
    parameters: type
    function: str
    title: str = ""
    description: str = ""
    presets: str = ""
    data: tuple[Slot, ...] = ()
    internal: bool = True
    hours: float = 1.0

    def read(self, values: Mapping[str, Any]) -> Any:
        """The parameters as their dataclass, checked as far as that needs no work. Raises BadInput with the field."""
        known = {entry.name: entry for entry in fields(self.parameters)}
        unknown = sorted(set(values) - set(known))
        with translated():
            from mlcore.runtime.options import needed

            missing = sorted(set(needed(self.parameters)) - set(values))
        if unknown or missing:
            faults = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [
                f"needs {', '.join(missing)}"
            ] * bool(missing)
            raise BadInput(
                f"A job of kind '{self.name}' {' and '.join(faults)}.",
                (unknown or missing)[0],
                f"It takes {', '.join(known)}.",
            )
        self._check_types(known, values)
        if self.data:
            self._check_data(values["data"])
        if self.presets:
            self.configured(values.get("preset", "cpu"), values.get("overrides", {}))
        return self.parameters(**values)

    def configured(self, preset: str, overrides: Mapping[str, Any]) -> Any:
        """The training's own dataclass for ``preset`` with ``overrides``. Raises BadInput."""
        with translated():
            from mlcore.runtime.training import configured

            pairs = [f"{name}={value}" for name, value in overrides.items()]
            return configured(self.load_presets(), preset, pairs)

    def options(self, preset: str = "") -> list[Option]:
        """What can be changed of ``preset`` (the first, if none is named), with defaults, meanings and limits."""
        from mlcore.runtime.options import described

        presets = self.load_presets()
        return list(described(presets.get(preset) or next(iter(presets.values())))) if presets else []

    def load_presets(self) -> Mapping[str, Any]:
        """Presets by name, none where the kind has none."""
        return _named(self.presets) if self.presets else {}

    def load(self) -> Callable[..., dict[str, Any]]:
        """The function that does the work: ``run(parameters, job, progress)``."""
        return _named(self.function)

    def _check_types(self, known: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        kinds: dict[str, tuple[type, str]] = {
            "str": (str, "text"),
            "int": (int, "a whole number"),
            "dict": (dict, "an object"),
        }
        for name, value in values.items():
            kind, words = kinds[str(known[name].type).split("[")[0]]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise BadInput(f"'{name}' is not {words}.", name, f"Give {words}.")

    def _check_data(self, given: Mapping[str, Any]) -> None:
        if not given:
            wanted = ", ".join(slot.name for slot in self.data if slot.required)
            raise BadInput("No data was given.", "data", f"Name a data set for {wanted}.")
        for name, value in given.items():
            if not isinstance(value, str):
                raise BadInput(
                    f"The data set '{name}' is not named by text.", f"data.{name}", "Give its name."
                )
            datasets.resolve(value, field=f"data.{name}")


TRAIN_TABLES = (
    Slot("train", "a table with the columns SMILES and description"),
    Slot("more", "a further table", required=False),
)
LM_TABLES = (
    Slot("train", "a table with the columns SMILES and description"),
    Slot("more", "a further table; SMILES without a description are read alone", required=False),
)
CLOUDS = (
    Slot("source", "points, one a row: .npy, .npz, .csv or .parquet; or both clouds in one .npz"),
    Slot("target", "points of the other cloud", required=False),
)

KINDS = {
    kind.name: kind
    for kind in (
        Kind("check", "indexing", CheckParameters, "workers.tasks.check:run", "Check of a file"),
        Kind(
            "library",
            "indexing",
            LibraryParameters,
            "workers.tasks.library:run",
            "Import of a library",
            hours=48,
        ),
        Kind(
            "rebuild",
            "indexing",
            RebuildParameters,
            "workers.tasks.rebuild:run",
            "Rebuild of a library",
            hours=48,
        ),
        Kind(
            "retrieval",
            "training",
            TrainingParameters,
            "workers.tasks.retrieval:run",
            "Text-to-molecule model",
            "Trains ORMA on pairs of molecules and descriptions, and builds its catalogue.",
            presets="mlcore.retrieval.presets:PRESETS",
            data=TRAIN_TABLES,
            internal=False,
            hours=72,
        ),
        Kind(
            "lm",
            "training",
            TrainingParameters,
            "workers.tasks.lm:run",
            "Language model of molecules",
            "Trains a model that writes molecules for texts and texts for molecules, and a small draft that makes it "
            "faster.",
            presets="mlcore.decoding.language.presets:PRESETS",
            data=LM_TABLES,
            internal=False,
            hours=72,
        ),
        Kind(
            "monge",
            "training",
            TrainingParameters,
            "workers.tasks.monge:run",
            "Monge map",
            "Learns a map that carries one cloud of points onto another at the least cost.",
            presets="mlcore.transport.maps.presets:PRESETS",
            data=CLOUDS,
            internal=False,
            hours=24,
        ),
        Kind(
            "evaluation",
            "training",
            EvaluationParameters,
            "workers.tasks.evaluation:run",
            "Evaluation",
            "Measures a version on named data; a promotion rests on one.",
            data=(
                Slot("queries", "retrieval: the table whose descriptions are asked for", required=False),
                Slot("candidates", "retrieval: the table of all molecules that compete", required=False),
                Slot(
                    "pairs",
                    "monge: an .npz with source and mapped points; lm: a table with the columns SMILES and description",
                    required=False,
                ),
            ),
            internal=False,
            hours=12,
        ),
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


def offered() -> Iterator[Kind]:
    """The kinds that a person may start."""
    return (kind for kind in KINDS.values() if not kind.internal)


def plain(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON."""
    return asdict(parameters)


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)
