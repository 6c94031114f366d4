"""The form of a new job, made from the registry of kinds: data sets, preset, and every parameter of that preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings

from webapp.jobs.templatetags.work import figure
from workers import datasets, jobs
from workers.inference import BadInput
from workers.kinds import Kind
from workers.models import Job, ModelVersion
from workers.registry import shipped

DATA, SET = "data.", "set."
#: what the form has fields of its own for
OWN = ("data", "preset", "overrides", "version", "area")


class StartForm(forms.Form):
    """Everything a job of one kind takes. Only what differs from the preset is sent on."""

    name = forms.CharField(
        required=False, max_length=120, strip=True, help_text="What you will know it by in the list."
    )
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=80)

    def __init__(
        self, kind: Kind, preset: str, *args: Any, parent: Job | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.kind, self.parent = kind, parent
        self.initial.setdefault("key", str(uuid4()))
        presets = list(kind.load_presets())
        self.preset = preset if preset in presets else next(iter(presets), "")
        self._add_version()
        self._add_data()
        if presets:
            self.fields["preset"] = forms.ChoiceField(
                choices=[(name, name) for name in presets],
                initial=self.preset,
                help_text="A named set of parameters; each can be changed below.",
            )
        self._add_plain()
        self.options = kind.options(self.preset)
        for option in self.options:
            self.fields[SET + option.name] = _field(option)
        wide = forms.TextInput | forms.Select
        for field in self.fields.values():
            if isinstance(field.widget, wide):
                field.widget.attrs.setdefault("autocomplete", "off")

    @property
    def data_fields(self) -> list[forms.BoundField]:
        """The selects of data sets."""
        return [self[name] for name in self.fields if name.startswith(DATA)]

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """Parameters of a kind's own that are neither data nor of a preset."""
        return [self[entry.name] for entry in _plain(self.kind)]

    @property
    def option_fields(self) -> list[forms.BoundField]:
        """The parameters of the preset."""
        return [self[SET + option.name] for option in self.options]

    @property
    def changed_options(self) -> int:
        """How many parameters are not as the preset has them."""
        return sum(bool(field.value()) for field in self.option_fields)

    @property
    def shows_options(self) -> bool:
        """Whether the parameters stand open: one of them is changed or wrong."""
        return bool(self.changed_options or any(field.errors for field in self.option_fields))

    def clean(self) -> dict[str, Any]:
        """Hold every changed parameter to its limits, each beside its field."""
        values = super().clean() or {}
        for name, value in self._overrides(values).items():
            try:
                self.kind.configured(self.preset, {name: value})
            except BadInput as error:
                self.refuse(error, SET + name)
        return values

    def parameters(self) -> dict[str, Any]:
        """What was filled in, as the kind's parameters."""
        values = self.cleaned_data
        out: dict[str, Any] = {}
        wanted = {entry.name for entry in fields(self.kind.parameters)}
        if "data" in wanted:
            found = {name.removeprefix(DATA): values[name] for name in self.fields if name.startswith(DATA)}
            out["data"] = {name: value for name, value in found.items() if value}
        if "preset" in wanted:
            out |= {"preset": self.preset, "overrides": self._overrides(values)}
        if "version" in wanted:
            key, _, area = values["version"].partition(":")
            out["version"] = int(key)
            out |= {"area": area} if area else {}
        return out | {entry.name: values[entry.name] for entry in _plain(self.kind)}

    def submit(self, user: Any) -> Job | None:
        """The job; None when it was refused, and then the form says why. Raises Busy."""
        try:
            return jobs.submit(
                self.kind.name,
                self.parameters(),
                user,
                name=self.cleaned_data["name"],
                key=self.cleaned_data["key"],
                parent=self.parent,
            )
        except BadInput as error:
            if error.field == "key":
                self.data = {**self.data.dict(), "key": str(uuid4())}  # type: ignore[has-type]
                self.add_error(
                    None, "This form was sent before with other values. Send it again for one more job."
                )
            else:
                self.refuse(error, self._place(error.field or ""))
            return None

    def refuse(self, error: BadInput, field: str | None) -> None:
        """Write an error beside its field, or above all where it has none."""
        words = f"{error.message} {error.remedy or ''}".strip()
        self.add_error(field if field in self.fields else None, words)

    def _place(self, name: str) -> str | None:
        wanted = next((option for option in (name, DATA + name, SET + name) if option in self.fields), None)
        first = next((each.name for each in self.data_fields), None)
        return first if name == "data" else wanted

    def _overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that are not as the preset has them, each in its own type where it can be read as that."""
        out = {}
        for option in self.options:
            text = str(values.get(SET + option.name) or "").strip()
            value = _typed(option.type, text)
            if text and value != option.default:
                out[option.name] = value
        return out

    def _add_version(self) -> None:
        if "version" not in {entry.name for entry in fields(self.kind.parameters)}:
            return
        rows = ModelVersion.objects.order_by("area", "slot", "-version")
        built_in = [("", "choose…")]
        built_in += [(f"0:{area}", f"{area}: the model that ships with Ferry") for area in shipped_areas()]
        self.fields["version"] = forms.ChoiceField(
            choices=[*built_in, *((str(row.pk), str(row)) for row in rows)],
            label="Version",
            help_text="The model that is measured.",
        )

    def _add_data(self) -> None:
        if not self.kind.data:
            return
        known = [(entry.name, entry.name) for entry in datasets.listing()]
        for slot in self.kind.data:
            self.fields[DATA + slot.name] = forms.ChoiceField(
                choices=[("", "choose…" if slot.required else "none"), *known],
                required=slot.required,
                label=slot.name,
                help_text=slot.help,
                error_messages={
                    "required": "Choose a data set.",
                    "invalid_choice": "There is no data set “%(value)s” any more. Choose another.",
                },
            )

    def _add_plain(self) -> None:
        for entry in _plain(self.kind):
            missing = entry.default is MISSING
            facts = {
                "required": missing,
                "initial": None if missing else entry.default,
                "help_text": entry.metadata.get("help", ""),
            }
            whole = str(entry.type) in ("int", "<class 'int'>")
            self.fields[entry.name] = forms.IntegerField(**facts) if whole else forms.CharField(**facts)


def initial_of(job: Job) -> dict[str, Any]:
    """The form's values for another job like ``job``."""
    values = job.parameters
    out: dict[str, Any] = {"name": job.name, **{k: v for k, v in values.items() if k not in OWN}}
    out |= {DATA + name: value for name, value in (values.get("data") or {}).items()}
    out |= {SET + name: _as_typed(value) for name, value in (values.get("overrides") or {}).items()}
    if "version" in values:
        out["version"] = str(values["version"] or f"0:{values.get('area', 'retrieval')}")
    return out


def shipped_areas() -> list[str]:
    """Areas whose shipped model is there."""
    areas = sorted({path.parent.name for path in settings.FERRY_MODELS.glob("*/card.json")})
    return [area for area in areas if shipped(area).exists()]


def _plain(kind: Kind) -> Iterator[Any]:
    return (entry for entry in fields(kind.parameters) if entry.name not in OWN)


def _field(option: Any) -> forms.Field:
    """The field of one parameter: empty means as the preset has it."""
    default = _as_typed(option.default)
    label = option.name.replace("_", " ").replace(".", " › ")
    help_text = "; ".join(part for part in (option.help, _limits(option)) if part)
    choices = option.choices or (("true", "false") if option.type is bool else ())
    if choices:
        named = [("", f"{default} (preset)"), *((name, name) for name in choices if name != default)]
        return forms.ChoiceField(choices=named, required=False, label=label, help_text=help_text)
    mode = {int: "numeric", float: "decimal"}.get(option.type, "text")
    widget = forms.TextInput(attrs={"placeholder": default, "inputmode": mode})
    return forms.CharField(required=False, max_length=200, label=label, help_text=help_text, widget=widget)


def _limits(option: Any) -> str:
    """Between what its value has to be, in words."""
    least, most = option.minimum, option.maximum
    if least is not None and most is not None:
        return f"from {figure(least)} to {figure(most)}"
    if least is not None:
        return f"at least {figure(least)}"
    return f"at most {figure(most)}" if most is not None else ""


def _typed(kind: type, text: str) -> Any:
    """``text`` in the type of its parameter; as it is where it cannot be read so, for the kind to refuse."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def _as_typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
