"""What a lane's numbers become on the page: rates with formula and counts, where the time went, which places stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.decoding import wording
from webapp.transport.templatetags.lab import hundredths, significant

BAR = 100.0  # units of the bar of the time
COLUMN = 40.0  # and of a column of the accepted ones
#: rates that mean nothing where nothing was drafted
OF_DRAFTS = {"acceptance"}


def of_lane(done: Mapping[str, Any], method: str, *, exact: bool) -> dict[str, Any]:
    """Everything that a finished lane shows beside its text; ``exact``: its answers have the target's own law."""
    counts = done["counts"]
    return {
        "rates": _rates(done),
        "positions": _positions(counts),
        "time": _time(counts.get("seconds") or {}),
        "counts": [
            (name, words, counts[name])
            for name, words in wording.COUNTS.items()
            if counts.get(name) or name in ("emitted", "target_calls")
        ],
        "reason": wording.REASONS.get(done.get("reason", ""), ""),
        "cut": done.get("reason") in ("length", "context"),
        "exact": exact,
        "law": wording.LAWS.get(method) or (wording.EXACT if exact else ""),
        "reward": done.get("reward"),
        "kl": None if exact else done.get("kl"),
        "molecule": done.get("molecule"),
        "text": done["text"],
    }


def _rates(done: Mapping[str, Any]) -> list[dict[str, Any]]:
    drafted = bool(done["counts"].get("drafted"))
    out = []
    for name, (label, unit, words) in wording.RATES.items():
        value = done["rates"].get(name)
        if value is None or (name in OF_DRAFTS and not drafted):
            continue
        shown = hundredths(value) if unit == "%" else significant(value, 3)
        formula = done.get("formulae", {}).get(name, "")
        out.append(
            {
                "name": name,
                "label": label,
                "value": shown,
                "words": words,
                "formula": formula,
                "filled": _filled(formula, done["counts"]),
            }
        )
    return out


def _filled(formula: str, counts: Mapping[str, Any]) -> str:
    """A formula with the counts of this lane in their places: ``42 / 15``."""
    values = {
        **{name: value for name, value in counts.items() if isinstance(value, int | float)},
        **{f"sum({name})": sum(value) for name, value in counts.items() if isinstance(value, list)},
        **{f"seconds.{name}": round(value, 3) for name, value in (counts.get("seconds") or {}).items()},
    }
    if not formula:
        return ""
    return " ".join(str(values.get(word, word)) for word in formula.split())


def _positions(counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At the first, second, … place of a block: how often a draft was tested there, and how often one stood."""
    reached, passed = counts.get("reached") or [], counts.get("passed") or []
    return [
        {
            "place": place,
            "reached": tested,
            "passed": stood,
            "share": stood / tested if tested else None,
            "top": f"{COLUMN * (1 - stood / tested):.1f}" if tested else "",
            "height": f"{COLUMN * stood / tested:.1f}" if tested else "",
            "words": hundredths(stood / tested) if tested else "never tested",
        }
        for place, (tested, stood) in enumerate(zip(reached, passed, strict=False), 1)
    ]


def _time(seconds: Mapping[str, float]) -> dict[str, Any] | None:
    """The parts of the time as pieces of a bar of :data:`BAR` units."""
    total = seconds.get("total") or 0.0
    if total <= 0:
        return None
    known = {name: value for name, value in seconds.items() if name != "total" and value > 0}
    rest = total - sum(known.values())
    if rest > 0:
        known["other"] = known.get("other", 0.0) + rest
    total = max(total, sum(known.values()))
    order = [name for name in wording.PARTS if name in known] + [
        name for name in known if name not in wording.PARTS
    ]
    left, pieces = 0.0, []
    for name in order:
        share = known[name] / total
        pieces.append(
            {
                "name": name if name in wording.PARTS else "other",
                "words": wording.PARTS.get(name, name),
                "milliseconds": 1000 * known[name],
                "share": hundredths(share),
                "x": f"{BAR * left:.2f}",
                "width": f"{BAR * share:.2f}",
            }
        )
        left += share
    return {"pieces": pieces, "total": total, "known": list(known) != ["other"]}


def comparison(closed: Mapping[str, Any], titles: Sequence[str]) -> list[dict[str, Any]]:
    """The speeds against the baseline, a row a lane."""
    return [
        {
            "number": row["lane"] + 1,
            "title": titles[row["lane"]],
            "speedup": row.get("speedup"),
            "interval": row.get("interval"),
            "sentence": row.get("sentence") or "",
            "slower": bool(row.get("speedup")) and row["speedup"] < 1,
        }
        for row in closed.get("comparison") or []
        if 0 <= row["lane"] < len(titles)
    ]
