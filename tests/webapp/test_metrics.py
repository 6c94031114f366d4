"""``/metrics``: who may read it, and what a request leaves there."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from webapp import metrics
from workers import inference

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.5", "::ffff:172.16.0.1"])
def test_private_addresses_may_read_under_any_host_name(address):
    answer = Client(HTTP_HOST="10.1.2.3:8000", REMOTE_ADDR=address).get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert b"ferry_request_seconds" in answer.content


@pytest.mark.parametrize(
    "meta",
    [
        {"REMOTE_ADDR": "8.8.8.8"},
        {"REMOTE_ADDR": "2001:4860:4860::8888"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "8.8.8.8"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "10.0.0.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=8.8.8.8"},
        {"REMOTE_ADDR": "8.8.8.8", "HTTP_AUTHORIZATION": "Bearer "},
    ],
)
def test_others_and_whatever_came_through_a_proxy_may_not(meta):
    answer = Client(**meta).get("/metrics")
    assert answer.status_code == 403
    assert b"FERRY_METRICS_TOKEN" in answer.content
    assert b"ferry_request_seconds" not in answer.content


def test_the_token_opens_it_from_everywhere(settings):
    settings.FERRY_METRICS_TOKEN = "hush-ü"
    far = {"REMOTE_ADDR": "8.8.8.8", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}
    assert Client(**far, HTTP_AUTHORIZATION="Bearer hush-ü").get("/metrics/").status_code == 200
    assert Client(**far, HTTP_AUTHORIZATION="Bearer wrong").get("/metrics/").status_code == 403
    assert Client(**far).get("/metrics").status_code == 403


def test_a_request_is_counted_by_view_and_status_and_unknown_paths_make_no_labels(monkeypatch):
    monkeypatch.setattr(inference, "search", lambda **_: (_ for _ in ()).throw(inference.Busy("full")))
    client = Client()
    client.get("/api/v1/search/?q=x")
    client.get("/no/such/page/")
    text = client.get("/metrics").content.decode()
    assert 'ferry_request_seconds_count{method="GET",status="503",view="api:search"}' in text
    assert "no/such/page" not in text


def test_an_odd_method_makes_no_label():
    request = RequestFactory().generic("BREW", "/x")
    from django.http import HttpResponse

    metrics.MetricsMiddleware(lambda _: HttpResponse())(request)
    assert "BREW" not in Client().get("/metrics").content.decode()
