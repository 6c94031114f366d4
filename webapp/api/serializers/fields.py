"""Building blocks of every input: strict about names, finite numbers, text with a named limit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

MAX_TEXT = 100_000
MAX_NAME = 200
MAX_ID = 300


class StrictSerializer(serializers.Serializer):
    """Refuses names it does not know (naming the nearest one it does) and values given twice."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The validated values. Raises ValidationError with one message a faulty field."""
        if not isinstance(data, Mapping):
            message = f"Not an object. Send one with the fields {', '.join(self.fields)}."
            raise serializers.ValidationError({"non_field_errors": [message]})
        faults = {
            str(name): unknown_name(str(name), list(self.fields)) for name in data if name not in self.fields
        }
        if hasattr(data, "getlist"):
            for name, field in self.fields.items():
                times = len(data.getlist(name))
                if times > 1 and not isinstance(field, serializers.ListField):
                    faults[name] = f"Given {times} times, and only one value is read. Give it once."
        if faults:
            raise serializers.ValidationError(faults)
        return super().to_internal_value(data)

    def check_order(self, values: Mapping[str, Any], *names: str) -> None:
        """Raise ValidationError where ``<name>_min`` lies above ``<name>_max``."""
        for name in names:
            low, high = values.get(f"{name}_min"), values.get(f"{name}_max")
            if low is not None and high is not None and low > high:
                raise serializers.ValidationError(
                    {f"{name}_min": f"The lower bound {low:g} is above the upper bound {high:g}. Swap them."}
                )


def unknown_name(name: str, known: list[str]) -> str:
    """The message for a parameter that does not exist, naming the nearest one that does."""
    shown = name if len(name) <= 40 else f"{name[:40]}…"
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if near:
        return f"There is no parameter '{shown}'. Did you mean '{near[0]}'?"
    return f"There is no parameter '{shown}'. Known here: {', '.join(known) or 'none'}."


def text(limit: int = MAX_TEXT, **options: Any) -> serializers.CharField:
    """A text field kept as written (a molfile may begin with an empty line), at most ``limit`` characters."""
    options.setdefault("trim_whitespace", False)
    messages = {
        "max_length": f"Longer than {limit:,} characters, which is the limit. Shorten it.",
        "blank": "This is empty. Write something.",
        "null": "This is null. Give a text.",
        "required": "This is missing. Give a text.",
    }
    return serializers.CharField(max_length=limit, error_messages=messages, **options)


def whole(low: int, high: int, **options: Any) -> serializers.IntegerField:
    """A whole number from ``low`` to ``high``, both included."""
    messages = {
        "invalid": f"Not a whole number. Give one from {low:,} to {high:,}.",
        "max_string_length": f"Not a number of reasonable length. Give one from {low:,} to {high:,}.",
        "min_value": f"Too small: the least is {low:,}.",
        "max_value": f"Too large: the limit is {high:,}.",
    }
    return serializers.IntegerField(min_value=low, max_value=high, error_messages=messages, **options)


class Number(serializers.FloatField):
    """A finite number; ``nan`` and ``inf`` are refused."""

    default_error_messages = {"invalid": "Not a number. Write it with digits and a point, as 180.16."}

    def to_internal_value(self, data: Any) -> float:
        """The number. Raises ValidationError when it is not finite."""
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class Choice(serializers.ChoiceField):
    """One of a few words; the message lists them and quotes no more than the start of what was given."""

    def to_internal_value(self, data: Any) -> Any:
        """The word. Raises ValidationError when it is not one of the choices."""
        if isinstance(data, str) and data in self.choices:
            return data
        raise serializers.ValidationError(f"'{str(data)[:40]}' is not one of {', '.join(self.choices)}.")


def several(child: serializers.Field, limit: int, **options: Any) -> serializers.ListField:
    """A list of at most ``limit`` values; in an address the name is repeated."""
    messages = {
        "max_length": f"More than {limit:,} values, which is the limit. Send fewer at once.",
        "not_a_list": "Not a list. Send a JSON list.",
        "empty": "The list is empty. Give at least one value.",
        "min_length": "The list is empty. Give at least one value.",
    }
    return serializers.ListField(child=child, max_length=limit, error_messages=messages, **options)
