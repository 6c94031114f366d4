"""The transport plan as a picture: words on the left bank, motifs on the right, a ribbon for every crossing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CROSSING = 280
LETTER = 8.8
MARGIN = 24
LONGEST_LABEL = 22
ROW = 30
BODY = 11
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Bank:
    """A word or a motif: its place on the picture (pixels), its share of the mass (0..1)."""

    index: int
    label: str
    y: float
    top: float
    height: float
    share: float
    atoms: str = ""


@dataclass(frozen=True)
class Ribbon:
    """Mass that crosses from a word to a motif: the outline as an SVG path and the mass as a share of all."""

    word: int
    motif: int
    path: str
    mass: float
    title: str


@dataclass(frozen=True)
class Picture:
    """Everything that the template draws; ``left_out`` is the share of mass in ribbons too thin to show."""

    width: int
    height: int
    left: int
    right: int
    words: tuple[Bank, ...]
    motifs: tuple[Bank, ...]
    ribbons: tuple[Ribbon, ...]
    left_out: float


def picture(explanation: Mapping[str, Any]) -> Picture | None:
    """The picture of an explanation; None where there are no words, no motifs or no mass.

    ``explanation["plan"]`` is words × motifs; it is scaled to sum to one.
    """
    words, motifs, plan = explanation["words"], explanation["motifs"], explanation["plan"]
    total = sum(sum(row) for row in plan)
    if not words or not motifs or total <= 0:
        return None
    shares = [[mass / total for mass in row] for row in plan]
    rows = max(len(words), len(motifs))
    height = rows * ROW + 2 * BODY
    shore = _room(word["text"] for word in words)
    far = shore + CROSSING
    left = _banks([word["text"] for word in words], [sum(row) for row in shares], height)
    right = _banks(
        [motif["label"] for motif in motifs],
        [sum(row[at] for row in shares) for at in range(len(motifs))],
        height,
        [",".join(str(atom) for atom in motif["atoms"]) for motif in motifs],
    )
    ribbons, left_out = _ribbons(shares, left, right, (shore, far))
    width = far + _room(motif["label"] for motif in motifs)
    return Picture(width, height, shore, far, tuple(left), tuple(right), tuple(ribbons), left_out)


def heat(explanation: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as a table: each cell with its share in percent and its shade, 0 (none) to 9 (the strongest)."""
    plan = explanation["plan"]
    total = sum(sum(row) for row in plan) or 1.0
    most = max((mass for row in plan for mass in row), default=0.0) or 1.0
    rows = [
        {
            "word": word["text"],
            "index": word["index"],
            "share": 100 * sum(row) / total,
            "cells": [
                {"motif": motif["index"], "percent": 100 * mass / total, "shade": round(9 * mass / most)}
                for motif, mass in zip(explanation["motifs"], row, strict=True)
            ],
        }
        for word, row in zip(explanation["words"], plan, strict=True)
    ]
    sums = [100 * sum(row[at] for row in plan) / total for at in range(len(explanation["motifs"]))]
    return {"motifs": explanation["motifs"], "rows": rows, "sums": sums}


def strongest(explanation: Mapping[str, Any], count: int = 3) -> list[dict[str, Any]]:
    """The strongest crossings of telling words: ``[{"word", "motif", "percent"}]``; of any words where none tells."""
    total = sum(sum(row) for row in explanation["plan"]) or 1.0
    words = {word["index"]: word for word in explanation["words"]}
    motifs = {motif["index"]: motif["label"] for motif in explanation["motifs"]}
    telling = [link for link in explanation["links"] if words[link["word"]]["telling"]]
    return [
        {
            "word": words[link["word"]]["text"],
            "motif": motifs[link["motif"]],
            "percent": 100 * link["mass"] / total,
        }
        for link in (telling or explanation["links"])[:count]
    ]


def little(explanation: Mapping[str, Any]) -> float:
    """The share of all mass, 0 to 1, that rests on words that say nothing alone."""
    total = sum(sum(row) for row in explanation["plan"]) or 1.0
    words = zip(explanation["words"], explanation["plan"], strict=True)
    return sum(sum(row) for word, row in words if not word["telling"]) / total


def _banks(
    labels: Sequence[str], shares: Sequence[float], height: int, atoms: Sequence[str] = ()
) -> list[Bank]:
    pitch = height / len(labels)
    fullest = max(*shares, 1e-9)
    out = []
    for index, (label, share) in enumerate(zip(labels, shares, strict=True)):
        middle = pitch * (index + 0.5)
        tall = max(2.0, min(pitch - 8, 2.2 * ROW) * share / fullest)
        out.append(
            Bank(
                index,
                label,
                round(middle, 1),
                round(middle - tall / 2, 1),
                round(tall, 1),
                share,
                atoms[index] if atoms else "",
            )
        )
    return out


def _ribbons(
    shares: Sequence[Sequence[float]], left: Sequence[Bank], right: Sequence[Bank], shores: tuple[int, int]
) -> tuple[list[Ribbon], float]:
    out, left_out = [], 0.0
    start = [bank.top for bank in left]
    end = [bank.top for bank in right]
    for word, row in enumerate(shares):
        for motif, mass in enumerate(row):
            thick_left = left[word].height * mass / left[word].share if left[word].share else 0.0
            thick_right = right[motif].height * mass / right[motif].share if right[motif].share else 0.0
            top, bottom = start[word], start[word] + thick_left
            top_right, bottom_right = end[motif], end[motif] + thick_right
            start[word], end[motif] = bottom, bottom_right
            if mass < LEAST_SHARE * max(1.0, 10 / len(shares)) / 2:
                left_out += mass
                continue
            title = f"{left[word].label} → {right[motif].label}: {100 * mass:.1f} % of the mass"
            out.append(
                Ribbon(word, motif, _outline(shores, (top, bottom), (top_right, bottom_right)), mass, title)
            )
    return out, left_out


def _outline(shores: tuple[int, int], start: tuple[float, float], end: tuple[float, float]) -> str:
    left, right = shores
    bend = (left + right) / 2
    return (
        f"M{left} {start[0]:.1f}C{bend:.0f} {start[0]:.1f} {bend:.0f} {end[0]:.1f} {right} {end[0]:.1f}"
        f"L{right} {end[1]:.1f}C{bend:.0f} {end[1]:.1f} {bend:.0f} {start[1]:.1f} {left} {start[1]:.1f}Z"
    )


def _room(labels: Iterable[str]) -> int:
    """Pixels that the longest of the labels takes, with its margin."""
    return round(LETTER * min(max(len(label) for label in labels), LONGEST_LABEL)) + MARGIN
