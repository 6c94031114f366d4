"""Addresses of questions, and what makes a control ask for the form anew."""

from __future__ import annotations

from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

LONGEST = 3_000


@register.simple_tag
def ask(task: str, prompt: str) -> str:
    """The address that asks ``task`` about ``prompt`` at once; without the prompt where it is too long for one."""
    values = {"task": task, "prompt": prompt, "run": "1"} if len(prompt) <= LONGEST else {"task": task}
    return f"{reverse('decoding:page')}?{urlencode(values)}"


@register.simple_tag
def refit(trigger: str = "change") -> SafeString:
    """Attributes of a control that changes what the form has to ask: the form is fetched again with what it holds."""
    return format_html(
        'hx-post="{}" hx-target="#decoding-form" hx-swap="outerHTML" hx-trigger="{}" hx-sync="#decoding-form:replace"',
        reverse("decoding:page"),
        trigger,
    )
