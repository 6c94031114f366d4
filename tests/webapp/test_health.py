"""Probes, error pages, headers: what an operator and a browser see of every answer."""

from __future__ import annotations

import json
import logging

import pytest
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import Http404
from django.test import Client, RequestFactory

from webapp import errors
from workers import inference


@pytest.fixture
def state(monkeypatch):
    """What the door says of itself."""
    said = {"ready": True, "model": "abc", "libraries": 1}
    monkeypatch.setattr(inference, "ready", lambda: said)
    return said


def test_alive_is_not_ready(client, state):
    state.update(ready=False, problem="The model is being loaded.")
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["problem"] == "The model is being loaded."
    state["ready"] = True
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/live/"])
def test_probes_ask_for_no_host_name(state, path):
    assert Client(HTTP_HOST="10.1.2.3:8000").get(path).status_code == 200


def test_an_unknown_host_name_is_answered_with_the_setting_that_is_missing():
    answer = Client(HTTP_HOST="ferry.lab.example").get("/accounts/log-in/")
    assert answer.status_code == 400
    assert "FERRY_URL=http://ferry.lab.example" in answer.content.decode()


def test_a_hostile_host_name_writes_no_markup():
    answer = Client(HTTP_HOST='"><script>alert(1)</script>').get("/accounts/log-in/")
    assert answer.status_code == 400
    assert b"<script>alert" not in answer.content


@pytest.mark.django_db
def test_every_answer_has_an_id_and_a_policy(client):
    answer = client.get("/accounts/log-in/")
    assert len(answer["X-Request-ID"]) == 32
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    script = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
    assert script == "script-src 'self'"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_a_proxys_id_is_kept_if_it_is_one(client):
    kept = client.get("/accounts/log-in/", HTTP_X_REQUEST_ID="abc-12345678")
    assert kept["X-Request-ID"] == "abc-12345678"
    replaced = client.get("/accounts/log-in/", HTTP_X_REQUEST_ID='x"\n<b>')
    assert "<" not in replaced["X-Request-ID"]


@pytest.mark.django_db
def test_the_log_names_the_request(client, caplog):
    with caplog.at_level(logging.INFO, logger="ferry.access"):
        client.get("/accounts/log-in/", HTTP_X_REQUEST_ID="abc-12345678")
    line = next(record for record in caplog.records if record.name == "ferry.access")
    assert line.getMessage().startswith("GET /accounts/log-in/ 200")


@pytest.mark.django_db
def test_nothing_there_is_a_page_with_the_id(client):
    answer = client.get("/no/such/page")
    page = answer.content.decode()
    assert answer.status_code == 404
    assert answer["X-Request-ID"] in page
    assert "nothing at this address" in page


@pytest.mark.django_db
def test_a_fault_of_ours_shows_no_trace(monkeypatch, caplog):
    from webapp.accounts import views

    def crash(*_, **__):
        raise ZeroDivisionError("a detail nobody should see")

    monkeypatch.setattr(views.ApiToken.objects, "filter", crash)
    client = Client(raise_request_exception=False)
    from webapp.accounts.models import User

    client.force_login(User.objects.create_user("x"))
    answer = client.get("/accounts/tokens/")
    page = answer.content.decode()
    assert answer.status_code == 500
    assert "detail nobody" not in page
    assert "Traceback" not in page
    assert answer["X-Request-ID"] in page


@pytest.mark.django_db
def test_a_form_from_elsewhere_is_refused_with_the_remedy():
    client = Client(enforce_csrf_checks=True, HTTP_ORIGIN="https://ferry.lab.example")
    answer = client.post("/accounts/log-in/", {"username": "x", "password": "y"})
    assert answer.status_code == 403
    assert "FERRY_URL=https://ferry.lab.example" in answer.content.decode()


@pytest.mark.parametrize(
    ("handler", "exception", "status"),
    [
        (errors.bad_request, DisallowedHost("x"), 400),
        (errors.not_found, Http404("x"), 404),
        (errors.permission_denied, PermissionDenied("x"), 403),
    ],
)
def test_under_the_api_errors_are_problem_details(handler, exception, status):
    from django.contrib.auth.models import AnonymousUser

    request = RequestFactory().get("/api/v1/nothing")
    request.user, request.request_id = AnonymousUser(), "r" * 32
    answer = handler(request, exception)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert (body["status"], body["request_id"]) == (status, "r" * 32)


def test_an_error_page_needs_no_template(monkeypatch):
    monkeypatch.setattr(errors, "render_to_string", lambda *_, **__: 1 / 0)
    request = RequestFactory().get("/x")
    request.request_id = "r" * 32
    answer = errors.page(request, 500, "It <b>broke</b>.", "Try again.")
    page = answer.content.decode()
    assert "It &lt;b&gt;broke&lt;/b&gt;." in page
    assert "r" * 32 in page
