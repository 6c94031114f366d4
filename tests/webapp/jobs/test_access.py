"""Who may open which page and press which button: a table, and everything that is not in it is denied."""

from __future__ import annotations

import pytest
from django.urls import get_resolver

PEOPLE = ("anonymous", "viewer", "member", "trainer", "administrator")
TRAINERS = {"trainer", "administrator"}
ADMINS = {"administrator"}
JOB, VERSION, DATA = "{job}", "{version}", "gone.tsv"

#: name of the address, arguments, methods, who may
TABLE = [
    ("jobs:list", {}, "get", TRAINERS),
    ("jobs:bulk", {}, "post", TRAINERS),
    ("jobs:new", {}, "get post", TRAINERS),
    ("jobs:data", {}, "get post", TRAINERS),
    ("jobs:data-delete", {"name": DATA}, "get post", TRAINERS),
    ("jobs:job", {"job": JOB}, "get", TRAINERS),
    ("jobs:look", {"job": JOB}, "get", TRAINERS),
    ("jobs:events", {"job": JOB}, "get", TRAINERS),
    ("jobs:curves", {"job": JOB}, "get", TRAINERS),
    ("jobs:csv", {"job": JOB}, "get", TRAINERS),
    ("jobs:svg", {"job": JOB}, "get", TRAINERS),
    ("jobs:stop", {"job": JOB}, "post", TRAINERS),
    ("jobs:resume", {"job": JOB}, "post", TRAINERS),
    ("jobs:delete", {"job": JOB}, "get post", TRAINERS),
    ("models:index", {}, "get", TRAINERS),
    ("models:compare", {}, "get", TRAINERS),
    ("models:csv", {}, "get", TRAINERS),
    ("models:svg", {}, "get", TRAINERS),
    ("models:version", {"pk": VERSION}, "get", TRAINERS),
    ("models:promote", {"pk": VERSION}, "get post", ADMINS),
    ("models:delete", {"pk": VERSION}, "get post", ADMINS),
    ("models:roll-back", {"place": "monge"}, "get post", ADMINS),
    ("models:retire", {"place": "monge"}, "get post", ADMINS),
]


def test_the_table_names_every_address():
    named = {
        f"{space}:{name}"
        for space in ("jobs", "models")
        for name in get_resolver().namespace_dict[space][1].reverse_dict
        if isinstance(name, str)
    }
    assert named == {name for name, *_ in TABLE}


@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_gets_what_the_table_says(person, client, make, version, member, request):
    from django.urls import reverse

    if person != "anonymous":
        client.force_login(request.getfixturevalue(person))
    row = version()
    for name, arguments, methods, allowed in TABLE:
        for method in methods.split():
            job = make(
                "done", owner=member
            )  # a member's own is not opened here either: that is what /libraries/ is for
            filled = {
                key: {JOB: job.pk, VERSION: row.pk}.get(value, value) for key, value in arguments.items()
            }
            address = reverse(name, kwargs=filled)
            status = getattr(client, method)(address).status_code
            place = f"{person}: {method} {address}"
            if person in allowed:
                assert status in {200, 302, 404, 422}, place
            elif person == "anonymous":
                assert status == 302, place
            else:
                assert status == 403, place


def test_the_menu_shows_what_one_may_open(client, viewer, trainer, db):
    def menu():
        return client.get("/accounts/tokens/").content.decode()

    client.force_login(viewer)
    assert 'href="/jobs/"' not in menu()
    client.force_login(trainer)
    assert 'href="/jobs/"' in menu()
    assert 'href="/models/"' in menu()


def test_a_page_of_403_says_what_to_do(client, viewer):
    client.force_login(viewer)
    assert "Ask an administrator" in client.get("/jobs/").content.decode()
