"""Forms of what changes which model answers, and of the question what answered when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone

from webapp.jobs.templatetags.work import figure
from workers.models import Evaluation, ModelVersion

WHY = "It is kept in the history, with your name."


class WhyForm(forms.Form):
    """The reason of a change."""

    why = forms.CharField(max_length=500, strip=True, label="Why", help_text=WHY)


class PromoteForm(WhyForm):
    """What a promotion rests on, and why."""

    evaluation = forms.ModelChoiceField(
        queryset=Evaluation.objects.none(),
        required=False,
        empty_label="choose…",
        label="It rests on the evaluation",
    )
    unmeasured = forms.BooleanField(required=False, label="Promote it unmeasured")
    field_order = ("evaluation", "unmeasured", "why")

    def __init__(self, version: ModelVersion, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["evaluation"]
        field.queryset = version.evaluations.all()
        field.label_from_instance = _named

    def clean(self) -> dict[str, Any]:
        """An evaluation, or the word that there is none."""
        values = super().clean() or {}
        if not values.get("evaluation") and not values.get("unmeasured") and "evaluation" not in self.errors:
            self.add_error(
                "evaluation",
                "Choose the evaluation that it rests on, or tick that it has none.",
            )
        if values.get("evaluation") and values.get("unmeasured"):
            self.add_error(
                "unmeasured", "An evaluation is chosen, so it is not unmeasured: choose one of the two."
            )
        return values


class ServedForm(forms.Form):
    """A place and a moment."""

    place = forms.ChoiceField(label="Which model")
    at = forms.DateTimeField(
        label="Date and time",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Write a date and a time, as 2026-05-03 14:00."},
    )

    def __init__(self, places: list[str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["place"].choices = [(name, name) for name in places]

    def clean_at(self) -> datetime:
        """Nothing has answered in the future yet."""
        at: datetime = self.cleaned_data["at"]
        if at > timezone.now():
            raise forms.ValidationError("This time has not come yet.")
        return at


def _named(evaluation: Evaluation) -> str:
    data = ", ".join(str(entry.get("name", "")) for entry in evaluation.data)
    first = ", ".join(f"{name} {figure(value)}" for name, value in list(evaluation.metrics.items())[:2])
    return f"{timezone.localtime(evaluation.created):%-d %b %Y, %H:%M}: {first} on {data}"
