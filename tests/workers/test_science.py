"""The door before the real science: every verb answers in the shape that the API documents.

The model is a small untrained one: what it ranks first means nothing, how it answers does.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from webapp.api.serializers import answers
from workers import catalogue, engine, inference, science

pytestmark = pytest.mark.django_db(transaction=True)

MOLECULES = (
    (
        "aspirin",
        "acetylsalicylic acid|ASA",
        "CC(=O)Oc1ccccc1C(=O)O",
        "drugs",
        "Eases pain and thins the blood.",
    ),
    ("paracetamol", "acetaminophen", "CC(=O)Nc1ccc(O)cc1", "drugs", "Lowers fever."),
    ("geraniol", "rhodinol", "CC(C)=CCC/C(C)=C/CO", "terpenes", "An alcohol that smells of roses."),
    ("caffeine", "theine", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "alkaloids", "Keeps coffee drinkers awake."),
    ("β-alanine", "", "NCCC(=O)O", "amino acids", "An amino acid that no protein is made of."),
    ("(R)-carvone", "", "CC1=CC[C@H](CC1=O)C(=C)C", "terpenes", "Smells of spearmint."),
)
WORDS = (
    "smell",
    "smells",
    "of",
    "roses",
    "an",
    "alcohol",
    "that",
    "eases",
    "pain",
    "acid",
    "lowers",
    "fever",
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A whole, small, untrained model."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from mlcore.retrieval.model import save_model
    from mlcore.retrieval.orma import Orma, OrmaConfig

    vocabulary = {
        piece: n for n, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(WORDS)])
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = OrmaConfig(
        dim=32, fine=8, pieces=len(vocabulary), text_width=32, text_layers=3, text_heads=2, text_inner=64, tokens=32,
        buckets=256, bag_width=16, graph_width=16, graph_layers=1, hidden=32, transport_steps=5,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "retrieval"
    save_model(Orma(config), tokenizer.to_str(), folder)
    return folder


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory, model_folder):
    """The catalogue, built once."""
    from django.test import override_settings

    source = tmp_path_factory.mktemp("source")
    lines = ["name\tsynonyms\tsmiles\tformula\tcategory\tsentence"]
    lines += [
        f"{name}\t{synonyms}\t{smiles}\t\t{kind}\t{said}" for name, synonyms, smiles, kind, said in MOLECULES
    ]
    (source / "all.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = tmp_path_factory.mktemp("data")
    with override_settings(FERRY_CATALOGUE=source, FERRY_DATA=data, FERRY_MODELS=model_folder.parent):
        assert catalogue.missing(model_folder)
        catalogue.build(model_folder)
        assert not catalogue.missing(model_folder)
    return data


@pytest.fixture(autouse=True)
def door(settings, data_folder, model_folder):
    """The real engine on the small model."""
    settings.FERRY_DATA, settings.FERRY_MODELS = data_folder, model_folder.parent
    engine.use(engine.Engine())
    yield
    engine.use(None)


def fits(answer, serializer) -> None:
    """Every documented field is there, with a value that its serializer can write, and nothing else is needed."""
    written = serializer(answer).data
    assert set(written) <= set(answer)


def test_from_cold_to_ready():
    engine.shared().warm()
    state = inference.ready()
    assert state["ready"] is True
    assert state["faults"] == {}
    assert [library["size"] for library in inference.libraries()] == [len(MOLECULES)]


@pytest.mark.parametrize(
    "text", ["an alcohol that smells of roses", "asprin", "C9H8O4", "CC(=O)Oc1ccccc1C(=O)O"]
)
def test_a_search_has_the_documented_shape(text):
    answer = inference.search(text, k=5)
    fits(answer, answers.SearchAnswer)
    assert answer["hits"]
    if "roses" not in text:
        assert answer["hits"][0]["molecule"]["name"] == "aspirin"


def test_facets_and_sameness_go_through():
    answer = inference.search("alcohol", facets=True, k=1)
    fits(answer, answers.SearchAnswer)
    assert answer["facets"]["total"] == answer["total"] == sum(answer["facets"]["numbers"][0]["counts"])
    assert answer["facets"]["libraries"] == [
        {"id": "catalogue", "name": "Catalogue", "count": answer["total"]}
    ]
    assert "facets" not in inference.search("alcohol", k=1)
    salt = "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"
    assert inference.search(salt, mode="exact")["hits"] == []
    (hit,) = inference.search(salt, mode="exact", same="parent")["hits"]
    assert (hit["molecule"]["name"], hit["matched"]["how"]) == ("aspirin", "same parent")


def test_filters_and_paging_go_through():
    answer = inference.search(
        "alcohol", filters={"weight_max": 160.0, "elements": "N"}, k=1, offset=0, sort="name"
    )
    assert [hit["molecule"]["name"] for hit in answer["hits"]] == ["paracetamol"]
    assert answer["total"] == 2


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"filters": {"colour": "red"}}, "colour"),
        ({"filters": {"substructure": "[C"}}, "substructure"),
        ({"sort": "beauty"}, "sort"),
        ({"same": "family"}, "same"),
        ({"k": 0}, "k"),
    ],
)
def test_what_cannot_be_names_its_field(options, field):
    with pytest.raises(inference.BadInput) as error:
        inference.search("alcohol", **options)
    assert error.value.field == field
    assert error.value.message


def test_an_unreadable_structure_is_bad_input_everywhere():
    for call in (
        lambda: inference.search("C1CC", read_as="smiles"),
        lambda: inference.describe("C1CC"),
        lambda: inference.depict("C1CC"),
        lambda: inference.molfile("C1CC"),
    ):
        with pytest.raises(inference.BadInput):
            call()


def test_a_molecule_with_everything_known():
    answer = inference.molecule("catalogue", "aspirin")
    fits(answer, answers.MoleculeAnswer)
    molecule = answer["molecule"]
    assert answer["library_name"] == "Catalogue"
    assert molecule["inchi"].startswith("InChI=1S/C9H8O4/")
    assert molecule["source"] == "Ferry's catalogue"
    assert {atom for motif in molecule["motifs"] for atom in motif["atoms"]} == set(range(13))


def test_names_outside_ascii_get_plain_ids():
    assert inference.molecule("catalogue", "alanine")["molecule"]["name"] == "β-alanine"
    assert inference.molecule("catalogue", "r-carvone")["molecule"]["name"] == "(R)-carvone"


def test_an_unknown_molecule_is_not_found():
    for call in (
        lambda: inference.molecule("catalogue", "unobtainium"),
        lambda: inference.neighbours("catalogue", "unobtainium"),
        lambda: inference.explain("roses", "catalogue", "unobtainium"),
        lambda: inference.compare("roses", "catalogue", "aspirin", "unobtainium"),
        lambda: inference.export("csv", [("catalogue", "unobtainium")]),
        lambda: inference.export("csv", [("nowhere", "aspirin")]),
    ):
        with pytest.raises(inference.NotFound):
            call()


def test_neighbours_texts_and_suggestions():
    near = inference.neighbours("catalogue", "aspirin", k=3)
    fits(near, answers.NeighboursAnswer)
    assert len(near["hits"]) == 3
    assert "aspirin" not in [hit["molecule"]["id"] for hit in near["hits"]]
    texts = inference.describe("OCC=C(C)CCC=C(C)C", k=4)
    fits(texts, answers.DescribeAnswer)
    assert len(texts["texts"]) == 4
    offered = inference.suggest("ace", k=5)
    fits(offered, answers.SuggestAnswer)
    assert ("acetaminophen", "paracetamol", "paracetamol") in [
        (entry["text"], entry["name"], entry["id"]) for entry in offered["suggestions"]
    ]


def test_the_explanation_and_the_comparison():
    answer = inference.explain("an alcohol that smells of roses", "catalogue", "geraniol")
    fits(answer, answers.ExplanationAnswer)
    assert len(answer["plan"]) == len(answer["words"])
    assert {len(row) for row in answer["plan"]} == {len(answer["motifs"])}
    assert sum(map(sum, answer["plan"])) == pytest.approx(1, abs=1e-3)
    both = inference.compare("an alcohol that smells of roses", "catalogue", "geraniol", "aspirin")
    fits(both, answers.ComparisonAnswer)


def test_a_list_is_looked_up_item_by_item():
    answer = inference.lookup(["aspirin", "C8H10N4O2", "no such thing", "C1CC", "asprin"])
    fits(answer, answers.LookupAnswer)
    assert [line["status"] for line in answer["items"]] == [
        "found",
        "found",
        "not found",
        "not found",
        "ambiguous",
    ]
    assert answer["found"] + answer["ambiguous"] + answer["not_found"] == 5


def test_drawings_and_molfiles():
    assert inference.depict("CCO").startswith(b"<svg")
    assert inference.depict("CCO", format="png", width=80, height=80).startswith(b"\x89PNG")
    block = inference.molfile("CCO")
    assert "V2000" in block
    assert inference.depict(block).startswith(b"<svg")
    assert inference.depict("InChI=1S/C2H6O/c1-2-3/h3H,2H2,1H3").startswith(b"<svg")


def test_an_export_has_the_rows_in_their_order():
    rows = [("catalogue", "geraniol"), ("catalogue", "aspirin")]
    name, kind, content, notes = inference.export("csv", rows, query="=roses")
    assert notes == []
    assert name.endswith(".csv")
    assert kind.startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["Name"] for row in table] == ["geraniol", "aspirin"]
    assert [row["Rank"] for row in table] == ["", ""]
    hits = [(*rows[0], 7, 0.25), (*rows[1], 8, None)]
    table = list(csv.DictReader(io.StringIO(inference.export("csv", hits)[2].decode("utf-8-sig"))))
    assert [(row["Rank"], row["Score"]) for row in table] == [("7", "0.25"), ("8", "")]
    with pytest.raises(inference.BadInput):
        inference.export("exe", rows)
    with pytest.raises(inference.BadInput) as error:
        inference.export("csv", [(*rows[0], 1, float("nan"))])
    assert error.value.field == "score"


def test_an_export_says_what_could_not_be_written(monkeypatch):
    from mlcore.retrieval.library import Library

    row = Library.row
    monkeypatch.setattr(
        Library,
        "row",
        lambda library, index: (
            replace(found, smiles="C1CC") if (found := row(library, index)).id == "aspirin" else found
        ),
    )
    rows = [("catalogue", "geraniol"), ("catalogue", "aspirin")]
    name, _, content, notes = inference.export("sdf", rows)
    assert name == "ferry-molecules.sdf"
    assert content.count(b"$$$$") == 1
    assert notes == ["1 of 2 molecules could not be written: aspirin."]
    assert inference.export("sdf", rows[:1])[3] == []


def test_a_damaged_model_is_told_not_raised(settings, tmp_path):
    settings.FERRY_MODELS = tmp_path
    engine.use(engine.Engine())
    with pytest.raises(inference.Busy):
        inference.search("x")


def test_the_catalogue_of_the_repository_becomes_a_table(tmp_path):
    from django.conf import settings as configured

    count = catalogue.write_source(tmp_path / "all.tsv")
    with (tmp_path / "all.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == count > 0
    assert len({row["id"] for row in rows}) == count, "ids are unique"
    assert all(row["smiles"] and row["description"] for row in rows)
    assert configured.FERRY_CATALOGUE.is_dir()


def test_only_documented_verbs_are_open():
    verbs = {name.removeprefix("do_") for name in dir(science) if name.startswith("do_")}
    assert verbs <= set(inference.__all__)
