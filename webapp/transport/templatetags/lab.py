"""How numbers of the laboratory are written."""

from __future__ import annotations

import math
from typing import Any

from django import template

register = template.Library()

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "−"


@register.filter
def significant(value: Any, digits: int = 5) -> str:
    """``0.31116``, ``1,204``, ``1.7 × 10⁻⁹``; an em dash where there is no number."""
    if value is None or value == "":
        return "—"
    if isinstance(value, int):
        return f"{value:,}".replace("-", MINUS)
    number = float(value)
    if number == 0:
        return "0"
    power = math.floor(math.log10(abs(number)))
    if -4 <= power < 7:
        text = f"{number:,.{max(0, digits - 1 - power)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)
    mantissa = f"{number / 10.0**power:.1f}".replace("-", MINUS)
    return f"{mantissa} × 10{str(power).translate(RAISED)}"


@register.filter
def hundredths(share: Any) -> str:
    """A share as percent: ``12.4 %``, ``100 %``; never rounded up to all or down to nothing."""
    percent = 100 * float(share or 0)
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    if 99.9 < percent < 100 - 1e-7:
        return "more than 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"
