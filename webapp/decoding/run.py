"""One run: the door's events, gathered and turned into what the page shows, at once or bit by bit."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from webapp.decoding import figures, recipes, tokens, wording
from webapp.decoding.known import Known
from webapp.decoding.state import LONGEST_ADDRESS, DecodingState
from webapp.streaming import Event

#: the plot takes about so many times what the slowest lane took: several α, and answers to choose from
POINTS = 10


@dataclass
class LaneRun:
    """What a lane has written so far."""

    number: int
    method: str
    title: str
    settings: str = ""  # its parameters as one line
    exact: bool = False
    pieces: list[SafeString] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    done: dict[str, Any] | None = None  # as figures.of_lane makes it
    speed: dict[str, Any] | None = None  # its row of the comparison
    refusals: tokens.Refusals = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = tokens.Rivals() if self.method == "best_of" else tokens.Refusals()

    @property
    def html(self) -> SafeString:
        """Its tokens."""
        return mark_safe("".join(self.pieces))  # noqa: S308  every piece is escaped where it is made

    @property
    def drawing_label(self) -> str:
        """What its molecule is called for those who do not see it."""
        return f"The molecule of lane {self.number}"


class Run:
    """Follows the events of one request. ``titled`` tokens carry titles: the page has no script to show cards."""

    def __init__(self, state: DecodingState, known: Known, base_url: str, *, titled: bool = False) -> None:
        self.state, self.known, self.base_url, self.titled = state, known, base_url, titled
        self.request = state.request(known)
        self.opened: Mapping[str, Any] | None = None
        self.lanes: list[LaneRun] = []
        self.comparison: list[dict[str, Any]] = []
        self.record: dict[str, Any] = {"request": self.request, "lanes": []}

    def take(self, event: Mapping[str, Any]) -> Event | None:
        """Add an event; what a page that is already there has to be told, if anything."""
        name = event["event"]
        if name == "opened":
            return self._open(event)
        if name == "closed":
            return self._close(event)
        lane = self._lane(event)
        if lane is None:  # the baseline that is measured for comparison is no lane of the page
            return None
        if lane.events and lane.events[-1]["event"] == name == "drafted":
            lane.events.pop()  # drafts that grow: the last say all
        lane.events.append(event)
        if name == "drafted":
            html = lane.refusals.drafted(event)
        elif name == "token":
            html = lane.refusals.emitted(event) + tokens.token(event, titled=self.titled)
        else:
            return self._finish(lane, event)
        lane.pieces.append(html)
        return Event(name, {"lane": lane.number - 1, "html": html, "drafts": _progress(event)})

    @property
    def query(self) -> str:
        """The address of this run, once it is opened."""
        return self.state.query()

    @property
    def context(self) -> dict[str, Any]:
        """What the templates of a run need."""
        return {
            "run": self,
            "state": self.state,
            "kinds": wording.KINDS,
            "task": self.state.task,
            "linkable": len(self.query) < LONGEST_ADDRESS,
            "permalink": f"{self.base_url.rstrip('/')}/decoding/{self.query}",
            "recipes": recipes.recipes(self.request, self.base_url),
            "pairs": self.state.pairs(),
        }

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models that answer, in words."""
        found = (self.opened or {}).get("models") or {}
        return [
            {**found[name], "label": label, "size": wording.size(found[name].get("parameters"))}
            for name, label in wording.MODELS.items()
            if found.get(name)
        ]

    @property
    def plottable(self) -> bool:
        """Whether there is a reward to plot against the distance."""
        return self.state.rewarded

    @property
    def cost(self) -> str:
        """What the plot of reward against distance will take, going by what the lanes took."""
        seconds = max(
            (lane.done["time"]["total"] for lane in self.lanes if lane.done and lane.done["time"]), default=0
        )
        return f"takes about {max(1, round(POINTS * seconds))} s on this server" if seconds else ""

    @property
    def download(self) -> str:
        """The run as JSON, as the address of a download."""
        text = json.dumps(self.record, ensure_ascii=False, indent=1)
        return "data:application/json;base64," + base64.b64encode(text.encode()).decode("ascii")

    def _open(self, event: Mapping[str, Any]) -> Event:
        self.opened = event
        self.record["opened"] = event
        self.state = self.state.completed(event, self.known)
        for number, lane in enumerate(event["lanes"][: len(self.request["lanes"])], 1):
            method = self.known.method(lane["method"])
            title = method.title if method else lane.get("title") or lane["method"]
            usual = {option.name: option.default for option in method.options} if method else {}
            settings = wording.settings(lane.get("parameters") or {}, usual)
            exact = method is not None and method.exact
            self.lanes.append(LaneRun(number, lane["method"], title, settings, exact))
        html = render_to_string("decoding/_run.html", self.context)
        address = f"/decoding/{self.query}" if len(self.query) < LONGEST_ADDRESS else ""
        return Event("opened", {"html": html, "address": address, "lanes": len(self.lanes)})

    def _finish(self, lane: LaneRun, event: Mapping[str, Any]) -> Event:
        left = lane.refusals.flush()
        lane.pieces.append(left)
        lane.done = figures.of_lane(event, lane.method, exact=lane.exact)
        self.record["lanes"].append({"tokens": lane.events[:-1], "done": event})
        html = render_to_string("decoding/_lane_end.html", {**self.context, "lane": lane})
        said = f"Lane {lane.number}, {lane.title}: {event['text'][:200]}"
        return Event("done", {"lane": lane.number - 1, "html": html, "said": said, "rest": left})

    def _close(self, event: Mapping[str, Any]) -> Event:
        self.record["closed"] = event
        self.comparison = figures.comparison(event, [lane.title for lane in self.lanes])
        speeds = {}
        for row in self.comparison:
            lane = self.lanes[row["number"] - 1]
            if row["speedup"] is not None:
                lane.speed = row
                speeds[lane.number - 1] = render_to_string("decoding/_speed.html", {"lane": lane})
        html = render_to_string("decoding/_closing.html", self.context)
        said = " ".join(f"{row['title']}: {row['sentence']}" for row in self.comparison)
        return Event(
            "closed", {"html": html, "speeds": speeds, "said": f"All answers are there. {said}".strip()}
        )

    def _lane(self, event: Mapping[str, Any]) -> LaneRun | None:
        number = event.get("lane")
        return self.lanes[number] if isinstance(number, int) and 0 <= number < len(self.lanes) else None


def _progress(event: Mapping[str, Any]) -> str:
    """What a lane that has written nothing yet is doing."""
    drafts = event.get("drafts")
    if not drafts:
        return ""
    several = f"{len(drafts)} drafts" if len(drafts) > 1 else "a draft"
    return f"{several} of {max(len(draft) for draft in drafts)} tokens"
