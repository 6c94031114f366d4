"""The list of jobs: filters in the address, a page at a time. No curve is read for it, however long they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import QueryDict

from workers import board, kinds
from workers.models import Job

PAGE = 50
STATES = [
    ("", "every state"),
    ("open", "open: waiting or running"),
    *((state, state) for state in Job.State.values),
]


class Filters(forms.Form):
    """What is asked for; what cannot be read is left out and said."""

    state = forms.ChoiceField(required=False, choices=STATES, label="State")
    kind = forms.ChoiceField(required=False, label="Kind")
    text = forms.CharField(required=False, max_length=120, strip=True, label="Name, owner or number")
    mine = forms.BooleanField(required=False, label="Only mine")
    page = forms.IntegerField(required=False, min_value=1, max_value=1_000_000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        named = [(kind.name, kind.title) for kind in kinds.KINDS.values()]
        self.fields["kind"].choices = [("", "every kind"), *named]


@dataclass(frozen=True)
class Page:
    """One page of the list: its rows, where it stands among all, and the addresses around it."""

    rows: list[dict[str, Any]]
    total: int
    number: int
    values: dict[str, Any]

    @property
    def first(self) -> int:
        """Number of its first row, from one."""
        return (self.number - 1) * PAGE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Number of its last row."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def filtered(self) -> bool:
        """Whether anything narrows the list."""
        return any(value for name, value in self.values.items() if name != "page")

    @property
    def query(self) -> str:
        """The address of this page."""
        return self._address(self.number)

    @property
    def before(self) -> str:
        """The address of the page before, empty where there is none."""
        return self._address(self.number - 1) if self.number > 1 else ""

    @property
    def after(self) -> str:
        """The address of the next page, empty where there is none."""
        return self._address(self.number + 1) if self.number * PAGE < self.total else ""

    def _address(self, number: int) -> str:
        kept = {name: "1" if value is True else value for name, value in self.values.items() if value}
        kept.pop("page", None)
        return f"?{urlencode(kept | ({'page': number} if number > 1 else {}))}"


def read(query: QueryDict, user: Any) -> tuple[Page, Filters]:
    """The page that an address asks for, and its filters."""
    filters = Filters(query)
    filters.is_valid()
    values = {name: filters.cleaned_data.get(name) for name in filters.fields}
    found = _narrowed(board.visible(user), values, user)
    total = found.count()
    number = min(values["page"] or 1, max(1, -(-total // PAGE)))
    rows = [board.line(job) for job in found[(number - 1) * PAGE : number * PAGE]] if total else []
    return Page(rows, total, number, values), filters


def _narrowed(rows: QuerySet[Job], values: dict[str, Any], user: Any) -> QuerySet[Job]:
    state, text = values["state"], values["text"]
    if state:
        rows = rows.filter(state__in=Job.OPEN if state == "open" else (state,))
    if values["kind"]:
        rows = rows.filter(kind=values["kind"])
    if values["mine"]:
        rows = rows.filter(owner=user)
    if text:
        named = Q(name__icontains=text) | Q(owner__username__icontains=text)
        rows = rows.filter(named | Q(pk__in=_numbers(text)))
    return rows


def _numbers(text: str) -> list[UUID]:
    """The job whose number, or the beginning of it, was typed (the eight digits that pages show are enough)."""
    digits = text.replace("-", "").lower()
    if len(digits) < 8 or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return []
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return list(Job.objects.filter(pk__gte=low, pk__lte=high).values_list("pk", flat=True)[:PAGE])
