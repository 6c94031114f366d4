"""From a query to the answer, on a small library and a model that knows a handful of words."""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from mlcore.retrieval import fusion
from mlcore.retrieval.candidates import Candidate, merged
from mlcore.retrieval.describe import describe
from mlcore.retrieval.filters import Filters
from mlcore.retrieval.fusion import Calibration, Fusion, fit_calibration
from mlcore.retrieval.lexical import LexicalIndex, matched
from mlcore.retrieval.logistic import logistic
from mlcore.retrieval.presence import Presence
from mlcore.retrieval.search import Searcher, SearchRequest
from mlcore.runtime.errors import InputError
from tests.mlcore.retrieval import small


def search(text: str, **options: object) -> dict:
    return small.searcher().search(SearchRequest(text, **options))


def names(found: dict) -> list[str]:
    return [hit["molecule"]["name"] for hit in found["hits"]]


def test_the_answer_has_the_documented_form() -> None:
    found = search("a terpene alcohol that smells of roses", k=3)
    assert json.loads(json.dumps(found)) == found
    assert set(found) >= {
        "query", "hits", "total", "offset", "k", "verdict", "libraries", "model", "took_ms", "notes", "filters", "sort",
    }  # fmt: skip
    assert set(found["query"]) >= {
        "text",
        "kind",
        "label",
        "alternatives",
        "canonical",
        "smiles",
        "corrected",
        "notes",
    }
    hit = found["hits"][0]
    assert (hit["rank"], hit["library"]) == (1, "small")
    assert set(hit["molecule"]) >= {
        "id", "name", "smiles", "inchikey", "formula", "weight", "exact_mass", "logp", "tpsa", "hbd", "hba", "rings",
        "charge", "stereocentres", "description", "synonyms", "category",
    }  # fmt: skip
    assert set(hit["matched"]["parts"]) == {"sentence", "phrase", "token"}
    assert found["libraries"] == [
        {"id": "small", "name": "small", "size": 34, "fingerprint": small.library().fingerprint}
    ]
    assert found["model"] == small.model().fingerprint


def test_prose_fuses_words_and_meaning_and_names_the_words() -> None:
    found = search("a terpene alcohol that smells of roses")
    assert found["query"]["kind"] == "prose"
    assert names(found)[0] == "geraniol"
    assert {"nerol", "ethanol", "menthol"} & set(names(found)[:5])
    top = found["hits"][0]["matched"]
    assert top["channels"] == ["meaning", "words"]
    assert top["words"] == ["terpene", "alcohol", "smells", "roses"]
    assert found["verdict"]["level"] == "found"


def test_meaning_alone_finds_what_no_text_says() -> None:
    found = search("alkene", read_as="prose")
    assert found["query"]["kind"] == "prose"
    assert found["hits"][0]["matched"]["channels"] == ["meaning"]
    assert {"(R)-limonene", "(S)-limonene", "geraniol", "nerol", "β-carotene"} >= set(names(found)[:3])


def test_the_verdict_on_words_is_that_of_presence() -> None:
    """However the hits stand to each other: the constants of presence are made to say one thing always."""
    base = small.searcher()

    def levels(presence: Presence) -> set[str]:
        always = Searcher(
            base.model,
            {"small": small.library()},
            fusion=base.fusion,
            calibration=Calibration(presence=presence, text_presence=presence),
            shelves=base.shelves,
        )
        asked = (
            "a terpene alcohol that smells of roses",
            "an aromatic acid",
            "quantum flux capacitor engine",
        )
        answers = [always.search(SearchRequest(text, read_as="prose")) for text in asked]
        return {each["verdict"]["level"] for each in answers}

    assert levels(Presence(absent_below=0.0, found_above=2.0)) == {"doubtful"}
    assert levels(Presence(absent_below=2.0, found_above=2.0)) == {"absent"}
    assert levels(Presence(absent_below=0.0, found_above=0.0)) == {"found"}


def test_what_is_not_there_is_said_to_be_absent() -> None:
    found = search("quantum flux capacitor engine")
    assert found["verdict"]["level"] == "absent"
    assert found["verdict"]["text"].startswith("Probably not in this library")
    assert all(hit["score_words"] == "unlikely" for hit in found["hits"])
    unknown = search("zolpidem")
    assert unknown["verdict"]["level"] == "absent"
    assert "zolpidem" in unknown["verdict"]["text"]


@pytest.mark.parametrize(
    ("text", "name"),
    [("aspirin", "aspirin"), ("ASA", "aspirin"), ("theine", "caffeine"), ("beta carotene", "β-carotene"),
     ("limonene", "(R)-limonene"), ("50-78-2", "aspirin"), ("M003", "ibuprofen"), ("NaCl", "sodium chloride")],
)  # fmt: skip
def test_a_name_comes_first(text: str, name: str) -> None:
    found = search(text)
    assert names(found)[0] == name
    assert found["hits"][0]["score"] >= 0.9
    assert found["verdict"]["level"] == "found"


def test_a_slip_is_corrected_and_the_rest_stays_below_it() -> None:
    found = search("asprin")
    assert found["query"]["corrected"] == "aspirin"
    assert names(found)[0] == "aspirin"
    assert found["hits"][0]["matched"]["how"] == "corrected"
    assert found["hits"][0]["score"] < 0.95
    assert all(hit["score"] <= 0.45 for hit in found["hits"][1:])


def test_a_formula_lists_all_isomers() -> None:
    found = search("C2H6O")
    assert set(names(found)) == {"ethanol", "dimethyl ether"}
    assert found["notes"] == ["2 molecules have the formula C2H6O."]
    assert names(search("h2co3")) == names(search("H2CO3")) == ["carbonic acid"]
    assert names(search("NH4+")) == names(search("NH4")) == ["ammonium"]
    assert search("C99H99")["verdict"] == {
        "level": "absent",
        "text": "No molecule here has the formula C99H99.",
    }


@pytest.mark.parametrize("text", ["OC(=O)[C@@H](N)C", "InChI=1S/C3H7NO2/c1-2(4)3(5)6/h2H,4H2,1H3,(H,5,6)/t2-/m0/s1",
                                  "QNAYBMKLOCPYGJ-REOHCLBHSA-N"])  # fmt: skip
def test_the_same_structure_in_any_notation_is_the_same_molecule(text: str) -> None:
    found = search(text)
    assert names(found) == ["L-alanine", "D-alanine"]
    assert [hit["matched"]["how"] for hit in found["hits"]] == ["exact", "stereo differs"]


def test_stereo_can_be_ignored_and_a_first_block_ignores_it() -> None:
    for found in (search("OC(=O)[C@@H](N)C", stereo="ignore"), search("QNAYBMKLOCPYGJ")):
        assert set(names(found)) == {"L-alanine", "D-alanine"}
        assert {hit["matched"]["how"] for hit in found["hits"]} == {"exact"}
    assert names(search("OC(=O)[C@@H](N)C", mode="exact")) == ["L-alanine"]
    flat = search("OC(=O)C(N)C")
    assert flat["verdict"] == {"level": "doubtful", "text": "Not in this library in exactly this form."}


def test_a_salt_finds_its_parent_and_the_reverse() -> None:
    parent = small.library().row(small.library().index_of("M031"))
    assert parent.name == "sildenafil"
    found = search(parent.smiles)
    assert names(found)[:2] == ["sildenafil", "sildenafil citrate"]
    assert found["hits"][1]["matched"]["how"] == "same parent"


def test_similar_and_contains_and_their_counts() -> None:
    similar = search("Cc1ccccc1", mode="similar", filters=Filters.parse({"similarity": "0.3"}))
    scores = [hit["matched"]["similarity"] for hit in similar["hits"]]
    assert names(similar)[0] == "toluene"
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3
    held = search("c1ccccc1", mode="contains", k=50)
    assert held["total"] == 10
    assert names(held)[0] == "benzene"
    assert set(names(held)) == set(names(search("[cR1]1[cR1][cR1][cR1][cR1][cR1]1", k=50)))
    none = search("Clc1ccccc1C")
    assert none["total"] == 0
    assert none["notes"] == ["No exact match.", "None similar at 0.5 or more; 2 at 0.3 or more."]


def test_filters_hold_for_every_kind_of_query() -> None:
    light = Filters.parse({"weight_max": "100", "substructure": "[OX2H]"})
    for text in ("an alcohol", "alcohol", "C2H6O", "CCO", "[#8]", "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"):
        found = search(text, filters=light, k=50)
        assert found["hits"], text
        for hit in found["hits"]:
            assert hit["molecule"]["weight"] <= 100
            assert "O" in hit["molecule"]["smiles"]
    assert search("an alcohol", filters=Filters.parse({"weight_min": "5000"}))["total"] == 0


def test_pages_join_without_gap_or_repetition_and_sorting_sorts() -> None:
    whole = names(search("aromatic solvent", k=34))
    pages = [
        name for offset in range(0, 34, 5) for name in names(search("aromatic solvent", k=5, offset=offset))
    ]
    assert pages == whole
    assert len(set(whole)) == 34
    ranks = [hit["rank"] for hit in search("aromatic solvent", k=5, offset=10)["hits"]]
    assert ranks == [11, 12, 13, 14, 15]
    weights = [hit["molecule"]["weight"] for hit in search("[#6]", sort="-weight", k=50)["hits"]]
    assert weights == sorted(weights, reverse=True)
    assert search("solvent", offset=1000)["hits"] == []


def test_the_same_query_gives_the_same_answer_from_any_thread() -> None:
    answers: list[dict] = []

    def ask() -> None:
        found = search("an aromatic acid", k=20, facets=True)
        answers.append({key: value for key, value in found.items() if key != "took_ms"})

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(found == answers[0] for found in answers)


def test_a_text_is_encoded_once_while_paging() -> None:
    before = small.model().encoded
    for offset in (0, 5, 10):
        search("a text that nobody has asked before", offset=offset, k=5)
    assert small.model().encoded == before + 1


@pytest.mark.parametrize(
    ("options", "field"),
    [({"k": 0}, "k"), ({"k": 10**6}, "k"), ({"offset": -1}, "offset"), ({"sort": "beauty"}, "sort"),
     ({"mode": "near"}, "mode"), ({"stereo": "maybe"}, "stereo"), ({"libraries": ("nowhere",)}, "library"),
     ({"read_as": "song"}, "read_as")],
)  # fmt: skip
def test_bad_requests_name_their_field(options: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        search("aspirin", **options)
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.fixture(scope="module")
def two() -> Searcher:
    other = small.made_library(
        "other",
        [
            ("acetylsalicylate drug", "", "CC(=O)Oc1ccccc1C(=O)O", "drug", "An aromatic acid against pain."),
            ("naphthalene", "", "c1ccc2ccccc2c1", "solvent", "The smell of mothballs."),
        ],
    )
    base = small.searcher()
    return base.with_libraries({"small": small.library(), "other": other})


def test_a_molecule_in_two_libraries_is_shown_once_from_the_preferred_one(two: Searcher) -> None:
    for text in ("an aromatic acid against pain", "CC(=O)Oc1ccccc1C(=O)O", "C9H8O4"):
        found = two.search(SearchRequest(text, k=50))
        mine = [hit for hit in found["hits"] if hit["molecule"]["inchikey"] == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"]
        assert len(mine) == 1, text
        assert (mine[0]["library"], mine[0]["also_in"]) == ("small", ["other"])
    only = two.search(SearchRequest("naphthalene", libraries=("other",)))
    assert [library["id"] for library in only["libraries"]] == ["other"]
    assert names(only)[0] == "naphthalene"
    assert two.shelves["small"] is small.searcher().shelves["small"]


def test_merging_keeps_order_best_score_and_channels(two: Searcher) -> None:
    shelves = list(two.shelves.values())
    same = [
        Candidate(1, 0, 0.9, ("name",)),
        Candidate(0, 0, 0.4, ("meaning",)),
        Candidate(0, 1, 0.6, ("meaning",)),
    ]
    found = merged(same, shelves)
    assert [(c.shelf, c.row, c.score) for c in found] == [(0, 0, 0.9), (0, 1, 0.6)]
    assert set(found[0].channels) == {"name", "meaning"}


def test_no_library_is_an_answer_not_a_fault() -> None:
    empty = Searcher(small.model(), {})
    found = empty.search(SearchRequest("aspirin"))
    assert found["hits"] == []
    assert found["verdict"]["level"] == "absent"


def test_neighbours_leave_the_molecule_itself_out() -> None:
    found = small.searcher().neighbours("small", "M027", k=5)
    assert found["molecule"]["name"] == "chlorobenzene"
    assert "chlorobenzene" not in names(found)
    assert "toluene" in names(found)
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(KeyError):
        small.searcher().neighbours("small", "nobody")


def test_a_molecule_finds_its_texts() -> None:
    found = describe("OCC", small.searcher(), k=34)
    assert found["structure"]["smiles"] == "CCO"
    own = [text for text in found["texts"] if text["own"]]
    assert own[0]["molecule"]["name"] == "ethanol"
    assert own[0]["rank"] <= 5
    scores = [text["score"] for text in found["texts"]]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(InputError, match="never closed"):
        describe("C1CC", small.searcher())


def test_suggestions() -> None:
    assert small.searcher().suggest("asp") == ["aspirin"]
    assert small.searcher().suggest("me", 3) == ["methane", "menthol", "methanol"]


def test_words_are_ranked_by_rarity_field_and_spelling() -> None:
    index = LexicalIndex(
        [
            (0, "text", "the scent of roses"),
            (1, "text", "the scent of oranges and of lemons"),
            (2, "name", "rose oxide"),
        ],
        3,
    )
    scores = index.scores("just like a rose")
    assert scores[2] > scores[0] > scores[1] == 0
    assert 0 < scores.max() < 1
    assert index.scores("scent oranges lemons")[1] > 0.3
    assert index.scores("the of and").max() == 0
    assert matched(index.asked("a lemmon scent"), ["lemons"]) == ["lemmon"]
    assert "roses" in index
    assert "tulips" not in index


def test_everyday_words_find_a_chemists_words() -> None:
    texts = [
        "an analgesic of willow bark",
        "lowers hypertension",
        "a fungicide for vines",
        "the colour of carrots",
    ]
    index = LexicalIndex([(row, "text", text) for row, text in enumerate(texts)], len(texts))
    for query, row in (
        ("painkiller", 0),
        ("high blood pressure", 1),
        ("kills mould", 2),
        ("an orange dye", 3),
    ):
        assert index.scores(query).argmax() == row, query
        assert 0 < index.scores(query)[row] < index.scores(texts[row])[row] <= 1
    assert matched(index.asked("a strong painkiller"), texts[:1]) == ["painkiller"]


def test_scores_are_weighted_and_calibrated() -> None:
    mix = Fusion(meaning=2.0, description=1.0, words=1.0)
    one, zero = np.ones(1), np.zeros(1)
    assert mix.fuse(one, zero, zero, np.array([True]))[0] == pytest.approx(0.5)
    assert mix.fuse(one, zero, zero, np.array([False]))[0] == pytest.approx(1.0)
    given = Calibration.from_config({"calibration": {"a": 4, "b": -1, "presence": {"bias": 2}, "unknown": 3}})
    assert (given.a, given.b, given.presence.bias, given.presence.found_above) == (4.0, -1.0, 2.0, 0.5)
    rng = np.random.default_rng(0)
    fused = rng.uniform(0, 1, 4000)
    right = rng.uniform(0, 1, 4000) < logistic(6 * fused - 2)
    fitted = fit_calibration(fused, right)
    assert fitted == (pytest.approx(6, abs=0.6), pytest.approx(-2, abs=0.4))
    with pytest.raises(ValueError, match="right and with wrong"):
        fit_calibration(fused, np.ones(4000, bool))
    assert [fusion.words_for(score) for score in (0.9, 0.7, 0.4, 0.1)] == [
        "very likely", "likely", "possible", "unlikely",
    ]  # fmt: skip


def test_the_command_line_finds_and_explains(capsys: pytest.CaptureFixture[str]) -> None:
    from mlcore.retrieval.cli_search import filters_from, in_lines

    shown = in_lines(search("C2H6O"), 200)
    assert shown.splitlines()[0] == "read as a formula"
    assert "ethanol" in shown
    assert "1-2 of 2" in shown
    assert filters_from(["weight_max=300", "elements=N"]).parameters() == {
        "weight_max": "300",
        "elements": "N",
    }
    with pytest.raises(InputError, match="no filter"):
        filters_from(["colour=red"])


def test_the_command_line_searches_opened_libraries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlcore.retrieval import cli_search
    from mlcore.retrieval.model import RetrievalModel

    parser = argparse.ArgumentParser()
    cli_search.add_arguments(parser)
    missing = parser.parse_args(["aspirin", "--library", str(tmp_path), "--model", str(tmp_path)])
    assert cli_search.run(missing) == 2
    assert str(tmp_path) in capsys.readouterr().err
    monkeypatch.setattr(RetrievalModel, "load", lambda folder: small.model())
    given = ["C2H6O", "--library", str(small.library().folder), "-k", "1", "--filter", "weight_max=300"]
    assert cli_search.run(parser.parse_args([*given, "--json"])) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["total"], len(found["hits"]), found["filters"]) == (2, 1, {"weight_max": "300"})
    assert cli_search.run(parser.parse_args([*given, "--sort", "beauty"])) == 2
    assert "beauty" in capsys.readouterr().err


def test_the_command_line_says_what_counts_as_the_same_molecule(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlcore.retrieval import cli_search
    from mlcore.retrieval.model import RetrievalModel

    monkeypatch.setattr(RetrievalModel, "load", lambda folder: small.model())
    parser = argparse.ArgumentParser()
    cli_search.add_arguments(parser)
    citrate = next(smiles for name, _, smiles, *_ in small.MOLECULES if name == "sildenafil citrate")
    given = [citrate, "--library", str(small.library().folder), "--mode", "exact", "--json"]

    def names(*more: str) -> list[str]:
        assert cli_search.run(parser.parse_args([*given, *more])) == 0
        hits = json.loads(capsys.readouterr().out.splitlines()[-1])["hits"]
        return [hit["molecule"]["name"] for hit in hits]

    assert names() == names("--same", "compound") == ["sildenafil citrate"]
    assert names("--same", "parent") == ["sildenafil citrate", "sildenafil"]
    assert cli_search.run(parser.parse_args([*given, "--same", "colour"])) == 2
    assert "compound, parent, tautomer" in capsys.readouterr().err
