"""The page before the real door with a tiny untrained pair: what the science says is what the page understands."""

from __future__ import annotations

import re

import pytest

from tests.decoding_models import tiny_pair
from tests.webapp.decoding.test_decoding_stream import read
from workers import language_models

ASKED = {
    "task": "molecule",
    "prompt": "an alcohol",
    "m1": "autoregressive",
    "m2": "spectr",
    "m2_drafts": "2",
    "m2_length": "3",
    "max_tokens": "12",
    "seed": "3",
}
REWARDED = {**ASKED, "m2": "best_of", "m2_n": "3", "m3": "cd", "m3_rollouts": "1", "m3_candidates": "2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("models")
    tiny_pair(found)
    return found


@pytest.fixture
def browser_without_scripts(client, db, settings, folder):
    settings.FERRY_MODELS = folder
    language_models.forget()
    yield client
    language_models.forget()


def test_every_event_of_the_door_is_understood(browser_without_scripts):
    response = browser_without_scripts.post("/decoding/stream/", ASKED)
    events = read(response.getvalue())
    names = [name for name, _ in events]
    assert names[0] == "opened"
    assert names[-1] == "closed"
    assert names.count("done") == 2
    done = [data["html"] for name, data in events if name == "done"]
    assert all('data-rate="tokens_per_second"' in html for html in done)
    assert 'data-rate="acceptance"' in done[1]
    assert "Accepted by position" in done[1]
    cards = "".join(data["html"] for name, data in events if name == "token")
    assert "&quot;target&quot;:[[" in cards


def test_the_same_address_gives_the_same_answer(browser_without_scripts):
    def texts(values):
        events = read(browser_without_scripts.post("/decoding/stream/", values).getvalue())
        return [data["said"] for name, data in events if name == "done"], events[0][1]["address"]

    said, address = texts(ASKED)
    page = browser_without_scripts.get(address).content.decode()
    assert 'id="moved"' not in page
    sent = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page)) | {
        name: ASKED[name] for name in ("task", "prompt", "m1", "m2")
    }
    assert sent["m2_drafts"] == "2"
    again, _ = texts(sent | {"act": "run"})
    assert again == said


def test_towards_a_reward_and_its_plot(browser_without_scripts):
    asked = {**REWARDED, "reward": "validity", "alpha": "0.5", "max_tokens": "6", "act": "run"}
    page = browser_without_scripts.post("/decoding/", asked).content.decode()
    assert page.count('data-state="done"') == 3
    assert "Draw the plot" in page
    plot = browser_without_scripts.post("/decoding/frontier/", asked, headers={"hx-request": "true"})
    assert plot.status_code == 200
    assert "Controlled decoding" in plot.content.decode()
