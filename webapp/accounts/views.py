"""The token page: make one (shown once), see those there are, revoke."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.forms import TokenForm
from webapp.accounts.models import ApiToken

MOST_TOKENS = 20


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List the user's tokens; a POST makes a new one and shows its secret this once."""
    form, secret = TokenForm(request.POST or None), None
    held = ApiToken.objects.filter(user=request.user)
    if request.method == "POST" and form.is_valid():
        if held.count() >= MOST_TOKENS:
            form.add_error(
                "name", f"An account holds at most {MOST_TOKENS} tokens. Revoke one that is not used."
            )
        else:
            _, secret = ApiToken.objects.issue(request.user, form.cleaned_data["name"])
            form = TokenForm()
    status = 422 if form.errors else 200
    return render(
        request, "accounts/tokens.html", {"form": form, "secret": secret, "tokens": held}, status=status
    )


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete one of the user's own tokens; requests that carry it fail from now on."""
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    token.delete()
    messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("tokens")
