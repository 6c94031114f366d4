"""Accounts: log-in, log-out, tokens that are shown once, roles, the first administrator."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.urls import reverse
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIRequestFactory

from webapp.accounts.authentication import TokenAuthentication
from webapp.accounts.models import ApiToken, User
from webapp.accounts.roles import ROLES

pytestmark = pytest.mark.django_db


def asked_with(header: str | None):
    """Who a request with this header comes from."""
    headers = {"HTTP_AUTHORIZATION": header} if header is not None else {}
    return TokenAuthentication().authenticate(APIRequestFactory().get("/", **headers))


def test_log_in_and_out(client, member):
    page = client.get(reverse("login"))
    assert page.status_code == 200
    assert b'autocomplete="current-password"' in page.content
    wrong = client.post(reverse("login"), {"username": "mia", "password": "guess"})
    assert wrong.status_code == 200
    assert b"do not fit together" in wrong.content
    right = client.post(
        reverse("login"),
        {"username": "mia", "password": "correct horse battery", "next": "/accounts/tokens/"},
    )
    assert (right.status_code, right["Location"]) == (302, "/accounts/tokens/")
    assert client.get(reverse("tokens")).status_code == 200
    assert client.post(reverse("logout")).status_code == 302
    assert client.get(reverse("tokens")).status_code == 302


@pytest.mark.parametrize("door", ["/accounts/log-in/", "/admin/login/"])
def test_guessing_a_password_is_stopped(client, member, door):
    def attempt(name: str, password: str, address: str = "192.0.2.1"):
        return client.post(door, {"username": name, "password": password}, REMOTE_ADDR=address)

    for number in range(settings.AXES_FAILURE_LIMIT - 1):
        assert attempt("mia", f"guess {number}").status_code == 200
    closed = attempt("mia", "one more")
    assert closed.status_code == 429
    assert closed["Retry-After"] == "900"
    assert b"wrong passwords" in closed.content
    assert attempt("mia", "correct horse battery").status_code == 429
    assert attempt("nobody", "guess").status_code == 200
    elsewhere = attempt("mia", "correct horse battery", address="192.0.2.2")
    assert elsewhere.status_code == (302 if door.startswith("/accounts") else 200)  # she is no staff


def test_the_right_password_forgives_the_wrong_ones(client, member):
    def attempt(password: str) -> int:
        answer = client.post(reverse("login"), {"username": "mia", "password": password})
        client.logout()
        return answer.status_code

    for _ in range(2):
        guesses = {attempt("guess") for _ in range(settings.AXES_FAILURE_LIMIT - 1)}
        assert guesses == {200}
        assert attempt("correct horse battery") == 302


def test_logging_in_never_leads_to_another_host(client, member):
    answer = client.post(
        reverse("login"),
        {"username": "mia", "password": "correct horse battery", "next": "https://evil.example/"},
    )
    assert answer["Location"] == "/"


def test_a_token_is_shown_once_and_stored_as_a_hash(client, member):
    client.force_login(member)
    page = client.post(reverse("tokens"), {"name": "notebook"}).content.decode()
    secret = re.search(r"ferry_[\w-]{43}", page).group()
    assert secret not in client.get(reverse("tokens")).content.decode()
    token = ApiToken.objects.get()
    assert secret not in (token.digest, token.hint)
    user, found = asked_with(f"Bearer {secret}")
    assert (user, found) == (member, token)
    token.refresh_from_db()
    assert token.last_used is not None


def test_a_revoked_token_opens_nothing(client, member):
    token, secret = ApiToken.objects.issue(member, "old")
    client.force_login(member)
    assert client.post(reverse("token_revoke", args=[token.pk])).status_code == 302
    with pytest.raises(AuthenticationFailed):
        asked_with(f"Bearer {secret}")


def test_nobody_revokes_somebody_elses_token(client, member, other_member):
    token, _ = ApiToken.objects.issue(member, "mine")
    client.force_login(other_member)
    assert client.post(reverse("token_revoke", args=[token.pk])).status_code == 404
    assert ApiToken.objects.filter(pk=token.pk).exists()


def test_revoking_by_a_link_does_nothing(client, member):
    token, _ = ApiToken.objects.issue(member, "mine")
    client.force_login(member)
    assert client.get(reverse("token_revoke", args=[token.pk])).status_code == 405
    assert ApiToken.objects.exists()


def test_the_token_of_a_closed_account_is_dead(member):
    _, secret = ApiToken.objects.issue(member, "mine")
    member.is_active = False
    member.save()
    with pytest.raises(AuthenticationFailed):
        asked_with(f"Bearer {secret}")


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer wrong", "Token \xff\xfe"])
def test_malformed_tokens_are_refused(header):
    with pytest.raises(AuthenticationFailed):
        asked_with(header)


@pytest.mark.parametrize("header", [None, "", "Basic bWlhOnB3"])
def test_other_headers_are_left_to_others(header):
    assert asked_with(header) is None


def test_a_name_is_needed_and_tokens_are_limited(client, member):
    client.force_login(member)
    assert client.post(reverse("tokens"), {"name": " "}).status_code == 422
    for number in range(20):
        ApiToken.objects.issue(member, str(number))
    full = client.post(reverse("tokens"), {"name": "one more"})
    assert full.status_code == 422
    assert b"at most 20" in full.content
    assert ApiToken.objects.count() == 20


def test_a_tokens_name_cannot_write_markup(client, member):
    client.force_login(member)
    page = client.post(reverse("tokens"), {"name": "<script>alert(1)</script>"})
    assert b"<script>alert" not in page.content


def test_the_roles_are_there_with_exactly_their_rights():
    for role, names in ROLES.items():
        group = Group.objects.get(name=role)
        held = {
            f"{p.content_type.app_label}.{p.codename}"
            for p in group.permissions.select_related("content_type")
        }
        assert held == set(names), role
    assert "workers.add_library" not in ROLES["viewer"]
    assert "workers.change_modelversion" not in ROLES["trainer"]


def test_pages_that_change_something_need_a_log_in(client):
    for address in (reverse("tokens"), reverse("password_change")):
        answer = client.get(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/log-in/")


def test_the_admin_opens_to_administrators_only(client, member, administrator):
    client.force_login(member)
    assert client.get("/admin/").status_code == 302
    client.force_login(administrator)
    for page in (
        "",
        "workers/job/",
        "workers/job/add/",
        "workers/modelversion/",
        "workers/library/",
        "accounts/user/",
    ):
        assert client.get(f"/admin/{page}").status_code == 200, page


def test_make_admin_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("ADMIN_USER", "root")
    monkeypatch.setenv("ADMIN_PASSWORD", "a long enough phrase")
    call_command("make_admin")
    user = User.objects.get(username="root")
    assert user.is_superuser
    assert user.check_password("a long enough phrase")
    assert [group.name for group in user.groups.all()] == ["admin"]
    with pytest.raises(CommandError, match="already"):
        call_command("make_admin")


@pytest.mark.parametrize("password", ["short", "password123", "rootroot12"])
def test_make_admin_refuses_weak_passwords(monkeypatch, password):
    monkeypatch.setenv("ADMIN_USER", "rootroot1")
    monkeypatch.setenv("ADMIN_PASSWORD", password)
    with pytest.raises(CommandError):
        call_command("make_admin")
    assert not User.objects.exists()


def test_make_admin_without_a_terminal_says_what_to_set(monkeypatch):
    monkeypatch.delenv("ADMIN_USER", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(CommandError, match="ADMIN_USER"):
        call_command("make_admin")
