"""Building blocks of every input: strict about names, finite numbers, text with a named limit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

MAX_TEXT = 100_000
MAX_NAME = 200
MAX_ID = 300
#: of any text among a job's parameters: what a file system takes as a name
MAX_BYTES = 255
MAX_VALUES = 500


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
                given = data.getlist(name)
                if len(given) > 1 and not isinstance(field, serializers.ListField):
                    faults[name] = f"Given {len(given)} times, and only one value is read. Give it once."
                if given == [""] and not getattr(field, "allow_blank", False):
                    faults[name] = "This is empty. Give a value, or leave it out."
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


def written(field: serializers.Field) -> bool:
    """Whether the input is an address or a form, where every value is text, and not JSON, which has types."""
    return hasattr(getattr(field.root, "initial_data", None), "getlist")


class Text(serializers.CharField):
    """Text; in JSON, a number is none."""

    def to_internal_value(self, data: Any) -> str:
        """The text. Raises ValidationError for anything else."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number; in JSON, text and yes or no are none."""

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError for anything else."""
        if not written(self) and (isinstance(data, bool) or not isinstance(data, int | float)):
            self.fail("invalid")
        return super().to_internal_value(data)


class YesNo(serializers.BooleanField):
    """True or false; in JSON, words and numbers are neither."""

    default_error_messages = {"invalid": "Not yes or no. Write true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """The answer. Raises ValidationError for anything else."""
        if not written(self) and not isinstance(data, bool):
            self.fail("invalid")
        return bool(super().to_internal_value(data))


class JobId(serializers.UUIDField):
    """The id of a job, as text."""

    default_error_messages = {"invalid": "Not a job id. Send ids as jobs/ lists them."}

    def to_internal_value(self, data: Any) -> UUID:
        """The id. Raises ValidationError for anything else."""
        if not isinstance(data, str) or len(data) != 36:
            self.fail("invalid")
        return super().to_internal_value(data)


def text(limit: int = MAX_TEXT, **options: Any) -> Text:
    """A text field kept as written (a molfile may begin with an empty line), at most ``limit`` characters."""
    options.setdefault("trim_whitespace", False)
    messages = {
        "invalid": "Not a text. Give a text.",
        "max_length": f"Longer than {limit:,} characters, which is the limit. Shorten it.",
        "blank": "This is empty. Write something.",
        "null": "This is null. Give a text.",
        "required": "This is missing. Give a text.",
    }
    return Text(max_length=limit, error_messages=messages, **options)


def whole(low: int, high: int, **options: Any) -> Whole:
    """A whole number from ``low`` to ``high``, both included."""
    messages = {
        "invalid": f"Not a whole number. Give one from {low:,} to {high:,}.",
        "max_string_length": f"Not a number of reasonable length. Give one from {low:,} to {high:,}.",
        "min_value": f"Too small: the least is {low:,}.",
        "max_value": f"Too large: the limit is {high:,}.",
    }
    return Whole(min_value=low, max_value=high, error_messages=messages, **options)


class Number(serializers.FloatField):
    """A finite number; ``nan`` and ``inf`` are refused, and in JSON text is none."""

    default_error_messages = {"invalid": "Not a number. Write it with digits and a point, as 180.16."}

    def to_internal_value(self, data: Any) -> float:
        """The number. Raises ValidationError when it is not finite."""
        if isinstance(data, bool) or not (written(self) or isinstance(data, int | float)):
            self.fail("invalid")
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


@extend_schema_field({"type": "object", "additionalProperties": True})
class JsonObject(serializers.DictField):
    """Names and values of whatever kind JSON has, few and short enough to be parameters of a job."""

    max_bytes = MAX_BYTES  # of any text
    default_error_messages = {"not_a_dict": "Not an object. Send names and values."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The object as it is. Raises ValidationError for text that no database keeps, and for too much of it."""
        if not isinstance(data, Mapping):
            self.fail("not_a_dict")
        for number, leaf in enumerate(_leaves(data)):
            if number >= MAX_VALUES:
                raise serializers.ValidationError(f"More than {MAX_VALUES} names and values. Send fewer.")
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise serializers.ValidationError("One of the numbers is not finite. Write it with digits.")
            if isinstance(leaf, int) and abs(leaf) >= 2**63:
                raise serializers.ValidationError("One of the numbers is too large. The limit is 2^63.")
            if isinstance(leaf, str) and not _storable(leaf, self.max_bytes):
                raise serializers.ValidationError(
                    f"One of the texts has a null character, half a character, or more than {self.max_bytes:,} bytes. "
                    "Shorten or mend it."
                )
        return dict(data)


def _leaves(data: Any) -> Iterator[Any]:
    """Every name and every value that is neither object nor list, without recursion."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield from one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        else:
            yield one


def _storable(text: str, most: int) -> bool:
    try:
        return "\0" not in text and len(text.encode()) <= most
    except UnicodeEncodeError:
        return False
