"""How chemistry is written on the page: formulas with subscripts, numbers with units, words that matched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from webapp.search.quantities import BY_NAME

register = template.Library()

_COUNT = re.compile(r"(?<=[A-Za-z)\]])(\d+)")
_CHARGE = re.compile(r"([+-])(\d*)$")
MINUS = "−"

LONGEST = 3_000
HOW = {
    "exact": "the very same",
    "spelling": "same but for spelling",
    "corrected": "spelling corrected",
    "begins": "begins like it",
    "stereo": "other stereo prefix",
    "stereo differs": "stereo differs",
    "same parent": "same parent: another salt, charge or solvate",
    "tautomer": "tautomer or another protonation state",
    "similar": "similar",
    "contains": "contains it",
}

OTHER_SCORES = {
    "id": "1: the identifier is this record's.",
    "name": "How near the name is: 1 for the very name or synonym, less for a near spelling or a beginning.",
    "formula": "1: the atoms add up to the same formula.",
    "structure": "How near the structure is: 1 for the very same molecule, less for other stereo, salts and tautomers.",
}
CHANNELS = {
    "meaning": ("meaning", "The sentence means what this molecule's structure says."),
    "name": ("name", "The text is one of its names, or near one."),
    "words": ("words", "Words of the question stand in its name, synonyms or description."),
    "id": ("id", "The identifier is this record's."),
    "structure": ("structure", "The drawn structure matches."),
    "formula": ("formula", "The atoms add up to the same formula."),
}


@register.filter
def formula(text: Any) -> SafeString:
    """``C9H8O4`` with subscripts, ``C5H14NO+`` with its charge raised."""
    plain = str(conditional_escape(str(text)))
    charge = _CHARGE.search(plain)
    body, tail = (plain[: charge.start()], f"{charge.group(2)}{charge.group(1)}") if charge else (plain, "")
    raised = f"<sup>{tail.replace('-', MINUS)}</sup>" if tail else ""
    return mark_safe(_COUNT.sub(r"<sub>\1</sub>", body) + raised)  # noqa: S308 - escaped above


@register.filter
def number(value: Any, digits: int = 2) -> str:
    """A number with thousands separated and a true minus sign; an em dash when there is none."""
    if value is None or value == "":
        return "—"
    text = f"{value:,}" if isinstance(value, int) else f"{float(value):,.{digits}f}"
    return text.replace("-", MINUS)


@register.filter
def signed(value: Any) -> str:
    """A difference with its sign: ``+0.12``, ``−0.03``."""
    return f"{float(value):+.2f}".replace("-", MINUS)


@register.filter
def quantity(value: Any, name: str) -> str:
    """A property in its own precision with its unit: ``180.16 g/mol``."""
    kind = BY_NAME[name]
    if value is None or value == "":
        return "—"
    if name == "charge":
        return f"{int(value):+d}".replace("-", MINUS) if value else "0"
    text = number(int(value)) if kind.whole else number(float(value), 4 if name == "exact_mass" else 2)
    return f"{text} {kind.unit}".strip()


@register.filter
def channel(name: str) -> str:
    """One sentence on what a channel is."""
    return CHANNELS.get(name, (name, ""))[1]


@register.filter
def how(name: str) -> str:
    """In which way a name or structure matched, in words."""
    return HOW.get(name, name)


@register.filter
def percent(score: Any) -> int:
    """0..1 as 0..100."""
    return round(100 * min(max(float(score or 0), 0.0), 1.0))


@register.filter
def marked(text: str, words: Iterable[str]) -> SafeString:
    """Text with every word of ``words`` marked where it begins a word."""
    wanted = sorted(
        {re.escape(str(conditional_escape(word))) for word in words or () if word}, key=len, reverse=True
    )
    plain = str(conditional_escape(text))
    if not wanted:
        return mark_safe(plain)  # noqa: S308 - escaped above
    pattern = re.compile(rf"(?<![\w&])({'|'.join(wanted)})(\w*)", re.IGNORECASE)
    return mark_safe(pattern.sub(r"<mark>\1\2</mark>", plain))  # noqa: S308 - escaped above


@register.filter
def key(hit: Mapping[str, Any]) -> str:
    """The name of a row in baskets and addresses: ``library:id``."""
    return f"{hit['library']}:{hit['molecule']['id']}"


@register.filter
def item(mapping: Mapping[str, Any], name: str) -> Any:
    """``mapping[name]``, None when missing."""
    return mapping.get(name) if mapping else None


@register.simple_tag
def molecule_url(library: str, identifier: str, query: str = "", back: str = "") -> str:
    """Address of a molecule's page, with the sentence to explain and the search to go back to."""
    address = reverse("search:molecule", args=[library, identifier])
    values = {name: value for name, value in (("q", query), ("from", back)) if value and len(value) < LONGEST}
    return f"{address}?{urlencode(values)}" if values else address


@register.simple_tag
def pairs(**values: Any) -> str:
    """Names and values as a query string, without its question mark."""
    return urlencode(values)


@register.simple_tag
def structure(smiles: str, label: str, width: int = 300, height: int = 210) -> SafeString:
    """The drawing of a structure in both palettes; the browser fetches only the one that is shown."""
    images = []
    for theme in ("light", "dark"):
        options = urlencode({"s": smiles, "theme": theme, "width": width, "height": height})
        images.append(
            format_html(
                '<img class="in-{}" src="{}" alt="{}" width="{}" height="{}" loading="lazy">',
                theme,
                f"{reverse('search:drawing')}?{options}",
                label,
                width,
                height,
            )
        )
    return mark_safe("".join(images))  # noqa: S308 - both built with format_html


@register.simple_tag
def score_sentence(hit: Mapping[str, Any]) -> str:
    """What this score means, in one plain sentence."""
    similarity = hit["matched"].get("similarity")
    if similarity is not None:
        return (
            f"Tanimoto similarity {similarity:.2f}: of all structural features that the query and this molecule have, "
            f"{percent(similarity)} in 100 are shared by both."
        )
    for name, sentence in OTHER_SCORES.items():
        if name in hit["matched"]["channels"] and "meaning" not in hit["matched"]["channels"]:
            return sentence
    return (
        "Scores run from 0 to 1. When the molecule meant is in the library at all, of a hundred first hits that "
        f"scored {hit['score']:.2f} on questions with known answers, about {percent(hit['score'])} were that molecule."
    )
