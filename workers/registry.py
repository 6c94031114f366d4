"""Which model answers: the promoted version of an (area, slot), otherwise the one that ships with Ferry.

Versions come from training jobs, are measured by evaluations, and are promoted by a person, with the evaluation that it
rests on. What answered when, and who decided it, stays in the promotions, which only grow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from workers import audit
from workers.errors import BadInput, NotFound
from workers.models import Evaluation, Job, ModelVersion, Promotion

#: an area, or an area and a slot, as the name of a folder
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Active:
    """The model in use: its folder, and the version's row number, 0 for the shipped one."""

    folder: Path
    version: int


def active(area: str, slot: str = "") -> Active:
    """The model that is in use for ``area`` and ``slot``."""
    row = ModelVersion.objects.filter(area=area, slot=slot, active=True).first()
    if row is not None:
        return Active(resolve(row.folder), row.version)
    return Active(shipped(area, slot), 0)


def shipped(area: str, slot: str = "") -> Path:
    """The folder of the model that ships with Ferry, whether or not there is one. Raises NotFound for no such names."""
    name = f"{area}-{slot}" if slot else area
    if not NAME.fullmatch(name):
        raise NotFound(f"There is no area '{name[:60]}'.")
    return settings.FERRY_MODELS / name


def resolve(folder: str) -> Path:
    """A version's folder; relative ones lie under FERRY_DATA, so that the data folder can move."""
    path = Path(folder)
    return path if path.is_absolute() else settings.FERRY_DATA / path


def register(
    area: str, slot: str, folder: Path, job: Job | None = None, parent: ModelVersion | None = None
) -> ModelVersion:
    """Enter a finished model folder as the next version, not yet active; a folder entered before keeps its row.

    Raises NotFound without a ``card.json``.
    """
    card = read_card(folder)
    inside = folder.is_relative_to(settings.FERRY_DATA)
    stored = str(folder.relative_to(settings.FERRY_DATA) if inside else folder)
    with transaction.atomic():
        rows = ModelVersion.objects.select_for_update().filter(area=area, slot=slot)
        known = rows.filter(folder=stored).first()
        if known is not None:  # the job was killed between this and its end
            return known
        version = (rows.aggregate(last=Max("version"))["last"] or 0) + 1
        return ModelVersion.objects.create(
            area=area,
            slot=slot,
            version=version,
            folder=stored,
            hash=str(card.get("sha256", "")),
            card=card,
            job=job,
            parent=parent,
        )


def get(pk: int | str) -> ModelVersion:
    """A version by its key. Raises NotFound."""
    try:
        return ModelVersion.objects.select_related("job", "parent").get(pk=int(pk))
    except (ValueError, ModelVersion.DoesNotExist):
        raise NotFound(f"There is no model version '{str(pk)[:20]}'.") from None


def promote(
    version: ModelVersion,
    who: Any,
    why: str,
    evaluation: Evaluation | None = None,
    *,
    unmeasured: bool = False,
) -> Promotion:
    """Make ``version`` the one that answers for its area and slot; the one before stays for rolling back.

    Raises BadInput without a reason, without an evaluation of this version (``unmeasured`` says that this is meant),
    or when it answers already; NotFound when its files are gone.
    """
    version.refresh_from_db()
    if version.active:
        raise BadInput(f"{version.place} v{version.version} answers already.", "version", "Choose another.")
    if evaluation is not None and evaluation.version_id != version.pk:
        raise BadInput("This evaluation is of another version.", "evaluation", "Choose one of this version.")
    if evaluation is None and not unmeasured:
        raise BadInput(
            "A promotion rests on an evaluation.",
            "evaluation",
            "Evaluate the version first, or say that it is promoted unmeasured.",
        )
    _check_files(version)
    evidence = {"unmeasured": True} if evaluation is None else _evidence(evaluation)
    return _switch(version.area, version.slot, version, who, why, evidence)


def roll_back(area: str, slot: str, who: Any, why: str) -> Promotion:
    """Put back what answered before the last change. Raises BadInput when there was none, NotFound when it is gone."""
    last = Promotion.objects.filter(area=area, slot=slot).first()
    if last is None:
        raise BadInput(f"Nothing was ever promoted for {area}.", "area", "There is nothing to go back to.")
    version = None
    if last.before:
        version = ModelVersion.objects.filter(area=area, slot=slot, version=last.before).first()
        if version is None:
            raise NotFound(
                f"Version {last.before} has been deleted. Promote another, or go back to the shipped one."
            )
        _check_files(version)
    return _switch(area, slot, version, who, why, {"roll back of": last.pk})


def retire(area: str, slot: str, who: Any, why: str) -> Promotion:
    """Go back to the model that ships with Ferry. Raises BadInput when it answers already."""
    if not ModelVersion.objects.filter(area=area, slot=slot, active=True).exists():
        raise BadInput(f"The shipped model answers for {area} already.", "area", "Nothing was changed.")
    return _switch(area, slot, None, who, why, {})


def served_at(area: str, slot: str, moment: datetime) -> tuple[int, str]:
    """Number and hash of the version that answered at ``moment``; number 0 is the shipped model."""
    last = Promotion.objects.filter(area=area, slot=slot, created__lte=moment).first()
    if last is not None:
        return last.after, last.after_hash
    first = Promotion.objects.filter(area=area, slot=slot).last()
    return (first.before, first.before_hash) if first is not None else (0, _hash(shipped(area, slot)))


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder. Raises NotFound when there is none or it cannot be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFound(f"{folder} is no model folder: its card.json cannot be read ({error}).") from error
    if not isinstance(card, dict):
        raise NotFound(f"{folder} is no model folder: its card.json holds no object.")
    return card


def _switch(
    area: str, slot: str, version: ModelVersion | None, who: Any, why: str, evidence: Mapping[str, Any]
) -> Promotion:
    why = " ".join(why.split())
    if not why:
        raise BadInput("A change of what answers needs a reason.", "why", "A short sentence will do.")
    with transaction.atomic():
        rows = ModelVersion.objects.select_for_update().filter(area=area, slot=slot)
        before = rows.filter(active=True).first()
        rows.filter(active=True).update(active=False)
        if version is not None:
            rows.filter(pk=version.pk).update(active=True)
        change = Promotion.objects.create(
            area=area,
            slot=slot,
            before=before.version if before is not None else 0,
            before_hash=before.hash if before is not None else _hash(shipped(area, slot)),
            after=version.version if version is not None else 0,
            after_hash=version.hash if version is not None else _hash(shipped(area, slot)),
            who=audit.name_of(who)[:150],
            why=why[:500],
            evidence=dict(evidence),
        )
        verb = "roll back" if "roll back of" in evidence else "promote"
        audit.record(
            who, verb, f"model/{area}{'/' + slot if slot else ''} v{change.after}", {"why": change.why}
        )
    if version is not None:
        version.refresh_from_db()
    return change


def _evidence(evaluation: Evaluation) -> dict[str, Any]:
    return {"evaluation": evaluation.pk, "metrics": evaluation.metrics, "data": evaluation.data}


def _check_files(version: ModelVersion) -> None:
    card = read_card(resolve(version.folder))
    if version.hash and card.get("sha256") != version.hash:
        raise NotFound(
            f"The files of {version} are not those that were registered: the hash of its card differs."
        )


def _hash(folder: Path) -> str:
    try:
        return str(read_card(folder).get("sha256", ""))
    except NotFound:
        return ""
