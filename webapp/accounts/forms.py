"""Forms of the account pages."""

from __future__ import annotations

from django import forms


class TokenForm(forms.Form):
    """A name for a new token."""

    name = forms.CharField(max_length=80, strip=True, label="What is it for?")
