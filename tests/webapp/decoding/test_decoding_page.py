"""The decoding page without scripts: the form, the finished answer, links, faults."""

from __future__ import annotations

import base64
import html
import json
import re

import pytest

from tests.webapp import fakes
from tests.webapp.decoding_fakes import EXACTNESS, HASHES, SPEEDS
from webapp.decoding.examples import EXAMPLES
from workers.inference import BadInput, Busy, NotFound

ASKED = {
    "act": "run",
    "task": "molecule",
    "prompt": "The molecule is an ester.",
    "m1": "autoregressive",
    "m2": "speculative",
    "m2_length": "3",
    "m3": "spectr",
    "m3_drafts": "2",
    "temperature": "0.7",
    "seed": "7",
}


def permalink(text):
    return html.unescape(re.search(r'<pre id="permalink">([^<]*)</pre>', text)[1])


def test_the_empty_page_offers_tasks_presets_and_examples(page, door):
    text = page()
    assert "Suggest molecules for this text" in text
    assert "Describe this molecule" in text
    assert "Continue this text" not in text
    assert "Faster: plain, one draft, SpecTr" in text
    assert text.count('<fieldset class="lane-form') == 4
    for example in EXAMPLES:
        assert html.escape(example.query) in text
    assert door.asked == []


def test_methods_without_their_model_are_named_and_cannot_be_chosen(page):
    text = page()
    assert re.search(r'<option value="transfer_q" disabled>', text)
    assert "It needs the aligned model, and none is installed here." in text
    assert 'value="preset:reward-cd"' in text
    assert 'value="preset:reward"' not in text


def test_a_sent_form_is_answered_in_full(page, door):
    text = page(post=ASKED)
    (asked,) = door.asked
    assert asked["task"] == "molecule"
    assert asked["lanes"][1] == {"method": "speculative", "parameters": {"length": 3}}
    assert asked["sampling"] == {"temperature": 0.7}
    assert asked["seed"] == 7
    assert asked["reward"] is None
    assert text.count("<article ") == 3
    assert text.count('data-state="done"') == 3
    assert EXACTNESS in text
    assert "C<sub>8</sub>H<sub>8</sub>O<sub>2</sub>" in text
    assert "136.15 g/mol" in text
    assert "/drawing.svg?s=CC%28%3DO%29Oc1ccccc1" in text
    assert "?q=CC%28%3DO%29Oc1ccccc1&amp;read_as=smiles" in text
    for speed, sentence in SPEEDS.values():
        assert f"{speed}×" in text
        assert sentence in text


def test_tokens_are_marked_by_kind_and_say_what_else_was_likely(page):
    text = page(post=ASKED)
    lane = text[text.index('data-lane="1"') :]
    found = re.search(r'<span class="token accepted" data-card="([^"]*)" title="([^"]*)">CC</span>', lane)
    card = json.loads(html.unescape(found[1]))
    assert card["kind"] == "accepted"
    assert card["draft"] == [["N", 0.5], ["CC", 0.3]]
    assert "target: “CC” 0.62" in html.unescape(found[2])
    for kind in ("corrected", "bonus"):
        assert f'class="token {kind}"' in lane
    assert '<span class="token sampled mark"' in lane


def test_refused_drafts_stand_where_they_were_refused(page):
    text = page(post=ASKED)
    lane = text[text.index('data-lane="1"') :]
    assert lane.index("(=O)</span>") < lane.index("<del>[Na+]</del><del>N#N</del>") < lane.index(">O</span>")
    assert 'id="show-refused"' in text


def test_every_rate_has_its_formula_and_its_counts(page):
    text = page(post=ASKED)
    assert "<code>emitted / target_calls</code> = <code>5 / 2</code>" in text
    assert "<code>sum(passed) / sum(reached)</code> = <code>3 / 5</code>" in text
    assert "<code>emitted / seconds.total</code> = <code>5 / 0.08</code>" in text
    assert "60 %" in text
    assert text.count('data-rate="acceptance"') == 2  # the plain lane drafts nothing
    assert "2/2</span>" in text
    assert 'aria-label="reading the prompt 12.5 %, drafting 25 %, target model 37.5 %, checking 6.2 %' in text


def test_the_permanent_link_holds_everything_and_leads_back(page, door):
    link = permalink(page(post=ASKED))
    for piece in (
        "seed=7",
        "m2_length=3",
        "m3_drafts=2",
        "temperature=0.7",
        "top_p=1",
        "m2_verification=block",
        "run=1",
    ):
        assert piece in link
    assert f"models={HASHES['target'][:12]}.{HASHES['draft'][:12]}.none" in link
    query = link[link.index("?") :]
    text = page(query)
    assert "data-begin" in text
    assert "Press “Run”" in text
    assert len(door.asked) == 1  # a link by itself computes nothing on the server
    assert 'id="moved"' not in text
    again = dict(pair.split("=") for pair in query[1:].split("&"))
    assert again["m3_layout"] == "batch"


def test_a_link_made_with_other_models_says_so(page):
    text = page(f"?prompt=x&run=1&models={'0' * 12}.{HASHES['draft'][:12]}.none")
    assert "made with other models.</strong> Since then replaced: target model." in text
    assert "models=" not in re.search(r'<a href="([^"]*)">Drop the pin', text)[1]


def test_a_run_can_be_taken_away_as_json(page):
    text = page(post=ASKED)
    found = re.search(r'href="data:application/json;base64,([^"]*)" download="decoding-7.json"', text)
    record = json.loads(base64.b64decode(found[1]))
    assert record["request"]["prompt"] == ASKED["prompt"]
    assert [lane["done"]["lane"] for lane in record["lanes"]] == [0, 1, 2]
    assert [event["event"] for event in record["lanes"][1]["tokens"]] == ["drafted", *["token"] * 5]
    assert record["opened"]["models"]["target"]["hash"] == HASHES["target"]


def test_an_invalid_smiles_is_told_kindly(page):
    text = page(post={**ASKED, "prompt": "broken"})
    assert (
        "“CC(C” is no valid SMILES, so there is nothing to draw. It was cut off; allow a longer answer."
        in text
    )
    assert "Cut off at the longest answer" in text
    assert "/drawing.svg" not in text


def test_a_description_leads_into_search_and_on(page):
    text = page(post={**ASKED, "task": "description", "prompt": "CCO"})
    assert '?q=The%20molecule%20is%20%3Can%3E%20ester.">Search with this text' in text
    assert "task=molecule&amp;prompt=The+molecule+is+%3Can%3E+ester.&amp;run=1" in text
    assert "&lt;an&gt; ester.</span>" in text
    assert "<an>" not in text


def test_towards_a_reward(page, door):
    text = page(post={**ASKED, "m2": "best_of", "m2_n": "4", "m3": "cd", "reward": "qed", "alpha": "0.2"})
    assert door.asked[0]["reward"] == {"name": "qed"}
    assert door.asked[0]["lanes"][2] == {"method": "cd", "parameters": {"alpha": 0.2}}
    assert "0.537" in text
    assert "0.25</strong>" in text
    assert 'class="token chosen"' in text
    assert "Draw the plot" in text
    assert "alpha=0.2" in permalink(text)


def test_a_reward_that_needs_a_text_takes_the_prompt(page, door):
    page(post={**ASKED, "reward": "retrieval"})
    assert door.asked[0]["reward"] == {"name": "retrieval", "text": ASKED["prompt"]}
    page(post={**ASKED, "reward": "logp", "reward_low": "1", "reward_high": "x"}, status=422)
    assert door.asked[1]["reward"] == {"name": "logp", "low": 1, "high": "x"}


def test_a_description_has_no_reward(page, door):
    text = page(post={**ASKED, "task": "description", "prompt": "CCO", "reward": "qed"})
    assert door.asked[0]["reward"] is None
    assert 'id="reward"' not in text


@pytest.mark.parametrize(
    ("change", "words", "field"),
    [
        ({"prompt": "  "}, "There is no prompt", "prompt"),
        ({"m2_length": "many"}, "is not a value of", "m2_length"),
        ({"temperature": "-3"}, "is not a value of", "temperature"),
        ({"seed": "x"}, "is not a value of", "seed"),
        ({"m1": "magic"}, "no method", "m1"),
        ({"m1": "cd"}, "needs a reward", "reward"),
        ({"task": "sing"}, "no task", "task"),
        ({"m3_layout": "heap"}, "is not a value of", "m3_layout"),
    ],
)
def test_a_faulty_value_is_explained_and_marked(page, change, words, field):
    text = page(post=ASKED | change, status=422)
    assert words in text
    assert "That cannot be answered" in text
    assert 'data-problem="' in text
    if field != "task":
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', text)
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BadInput("RDKit gave up.", "reward", "Take another."), 422, "RDKit gave up."),
        (Busy("Two are decoding already."), 503, "The server is busy"),
    ],
)
def test_a_fault_on_the_way_is_told(page, door, error, status, words):
    door.fault = error
    assert words in page(post=ASKED, status=status)


def test_without_a_model_the_page_says_so(page, monkeypatch):
    def none():
        raise NotFound("No language model is installed.")

    monkeypatch.setattr("workers.inference.decoding_models", none)
    text = page(status=404)
    assert "There is no language model yet" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("preset", ["faster", "drafts", "reward-cd"])
def test_a_preset_sets_lanes_and_keeps_the_question(page, door, preset):
    text = page(post={"act": f"preset:{preset}", "task": "molecule", "prompt": "kept", "seed": "5"})
    assert ">kept</textarea>" in text
    assert 'value="5"' in text
    assert text.count("selected>SpecTr") == {"faster": 1, "drafts": 3, "reward-cd": 0}[preset]
    assert ('value="qed" selected' in text) == (preset == "reward-cd")
    assert door.asked == []


def test_htmx_gets_the_form_alone(page):
    text = page(post={"m1": "spectr", "prompt": "kept"}, HTTP_HX_REQUEST="true")
    assert text.lstrip().startswith("<form")
    assert 'name="m1_drafts"' in text
    assert ">kept</textarea>" in text
    assert "data-begin" not in text


def test_every_example_is_a_question_that_the_science_takes(page, door):
    from django.http import QueryDict

    from mlcore.decoding.serving.requests import Request
    from webapp.decoding.known import Known
    from webapp.decoding.state import DecodingState

    door.absent = set()
    known = Known.read(door.describe(), door.models())
    for example in EXAMPLES:
        state = DecodingState.read(QueryDict(example.query[1:]), known)
        read = Request.read(state.request(known))
        assert len(read.lanes) == len(state.lanes) >= 2
        assert state.run
        assert all(not known.method(lane.method).missing for lane in state.lanes)


def test_every_preset_is_a_question_that_the_science_takes(door):
    from mlcore.decoding.serving.requests import Request
    from webapp.decoding.known import Known
    from webapp.decoding.presets import PRESETS
    from webapp.decoding.state import DecodingState

    known = Known.read(door.describe(), door.models())
    for preset in PRESETS:
        Request.read(preset.set(DecodingState(prompt="x")).request(known))


def test_too_long_for_an_address(page):
    text = page(post={**ASKED, "prompt": "ester " * 1500})
    assert "too long for an address" in text
    assert 'id="permalink"' not in text


def test_search_leads_here(client, db, door, monkeypatch):
    fakes.install(monkeypatch)
    text = client.get("/", {"q": "a rosy alcohol"}).content.decode()
    assert 'href="/decoding/?task=molecule&amp;prompt=a+rosy+alcohol&amp;run=1"' in text
    assert 'href="/decoding/?task=description&amp;prompt=CC%28C%29%3DCCCC%28C%29%3DCCO&amp;run=1"' in text
    text = client.get("/", {"q": "OCCc1ccccc1"}).content.decode()
    assert re.search(r'href="/decoding/\?task=description&amp;prompt=[^"]*">Describe this molecule', text)
    text = client.get("/molecules/catalogue/F0000/").content.decode()
    assert ">Describe this molecule</a>" in text
