"""How many links the points have: a histogram of the rows and one of the columns of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 240, 84
FLOOR = 18  # pixels under the bars, for what they count
CEILING = 14  # above them, for how many
MOST_BARS = 10
SIDES = (("rows", "source"), ("columns", "target"))


@dataclass(frozen=True)
class Bar:
    """So many points (``count``) have between ``least`` and ``most`` links."""

    least: int
    most: int
    count: int
    x: float
    y: float
    width: float
    height: float

    @property
    def label(self) -> str:
        """The links: a number or a range."""
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"

    @property
    def middle(self) -> float:
        """Where its labels stand."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Histogram:
    """The bars of one side."""

    side: str
    bars: tuple[Bar, ...]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def words(self) -> str:
        """The same as a sentence, for those who do not see it."""
        return "; ".join(f"{bar.count} with {bar.label}" for bar in self.bars)


def histograms(support: Mapping[str, Sequence[int]]) -> list[Histogram]:
    """One for the source points (rows) and one for the target points (columns)."""
    return [Histogram(name, _bars(support[side])) for side, name in SIDES]


def _bars(counts: Sequence[int]) -> tuple[Bar, ...]:
    least, most = min(counts), max(counts)
    step = (most - least) // MOST_BARS + 1
    found = Counter((value - least) // step for value in counts)
    bins = range((most - least) // step + 1)
    width = WIDTH / max(len(bins), 4)
    scale = (HEIGHT - FLOOR - CEILING) / max(found.values())
    left = (WIDTH - width * len(bins)) / 2
    return tuple(
        Bar(
            least + step * at,
            min(most, least + step * at + step - 1),
            found[at],
            round(left + width * (at + 0.12), 1),
            round(HEIGHT - FLOOR - scale * found[at], 1),
            round(width * 0.76, 1),
            round(scale * found[at], 1),
        )
        for at in bins
    )
