"""One box takes everything, says what it took it for, and offers the other readings."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdMolDescriptors

from mlcore.retrieval import formula
from mlcore.retrieval.cleaning import LONGEST
from mlcore.retrieval.query import KINDS, understand
from mlcore.runtime.errors import InputError, LimitError

ASPIRIN_KEY = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"


class Knows:
    """A library that knows a few names and words."""

    names = frozenset({"aspirin", "benzene", "caffeine", "fccp", "co-codamol", "(r)-limonene", "o=c=o gas"})
    words = frozenset({"alcohol", "sweetener", "rose", "smell", "of", "roses", "an", "that", "smells"})

    def known_name(self, text: str) -> bool:
        return text.casefold() in self.names

    def corrected_name(self, text: str) -> str | None:
        return {"asprin": "aspirin", "cafeine": "caffeine"}.get(text.casefold())

    def known_word(self, word: str) -> bool:
        return word.casefold() in self.words

    def known_id(self, text: str) -> bool:
        return text == "CHEBI:1"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # formulas, with the right case, charges, groups, in subscripts
        ("C9H8O4", "formula"), ("NaCl", "formula"), ("CO", "formula"), ("NO", "formula"), ("In", "formula"),
        ("I", "formula"), ("HCl", "formula"), ("NH4+", "formula"), ("SO4 2-", "formula"), ("SO4²⁻", "formula"),
        ("H₂O", "formula"), ("Fe3+", "formula"), ("Ca(OH)2", "formula"), ("CuSO4·5H2O", "formula"),
        ("CH3COOH", "formula"), ("C60", "formula"), ("CCl4", "formula"), ("h2co3", "formula"), ("co2", "formula"),
        # SMILES
        ("C", "smiles"), ("O", "smiles"), ("CC", "smiles"), ("CN", "smiles"), ("CCO", "smiles"), ("CCl", "smiles"),
        ("c1ccccc1", "smiles"), ("C1CC1", "smiles"), ("[Fe+3]", "smiles"), ("O=C=O", "smiles"), ("CC(C)C", "smiles"),
        ("[Na+].[Cl-]", "smiles"), ("C/C=C/C", "smiles"), ("CC(=O)O acetic acid", "smiles"),
        # names and words
        ("benzene", "name"), ("FCCP", "name"), ("asprin", "name"), ("cocoa", "name"), ("CoCo", "name"), ("no", "name"),
        ("p53", "name"), ("F-18", "name"), ("N-(4-hydroxyphenyl)acetamide", "name"), ("2,4-D", "name"),
        ("(R)-limonene", "name"), ("zolpidem", "name"), ("sweetener", "prose"),
        ("an alcohol that smells of roses", "prose"), ("👍🧪", "prose"), ("مركب عطري من الورد", "prose"),
        ("???", "prose"),
        # keys
        (ASPIRIN_KEY, "inchikey"), (ASPIRIN_KEY.lower(), "inchikey"), ("BSYNRYMUTXBXSQ", "inchikey"),
        ("InChIKey=" + ASPIRIN_KEY, "inchikey"), ("InChI=1S/CH4/h1H4", "inchi"), ("1S/CH4/h1H4", "inchi"),
        ("50-78-2", "cas"), ("CAS 50-78-2", "cas"), ("50-78-3", "prose"), ("CHEBI:1", "id"),
        # patterns
        ("[#6]-[OX2H]", "smarts"), ("[CX4]", "smarts"), ("c1ccccc1~C", "smarts"), ("[!#6;!#1]", "smarts"),
    ],
)  # fmt: skip
def test_kind(text: str, kind: str) -> None:
    query = understand(text, knows=Knows())
    assert query.kind == kind
    assert query.label.startswith("read as")
    assert kind not in [other.read_as for other in query.alternatives]
    if kind not in ("prose", "molfile"):
        assert "prose" in [other.read_as for other in query.alternatives]


def test_ambiguous_text_offers_its_other_readings() -> None:
    readings = {
        text: [r.read_as for r in understand(text, knows=Knows()).alternatives] for text in ("CO", "CCO", "I")
    }
    assert readings == {"CO": ["smiles", "prose"], "CCO": ["formula", "prose"], "I": ["smiles", "prose"]}
    assert understand("CO", read_as="smiles").structure.smiles == "CO"
    assert understand("CCO", read_as="formula").formula.hill == "C2O"
    assert understand("FCCP", read_as="smiles", knows=Knows()).structure.formula == "C2H6FP"


def test_case_does_not_change_which_formula_is_found() -> None:
    lower, right = understand("h2co3"), understand("H2CO3")
    assert lower.formula.hill == right.formula.hill == "CH2O3"
    assert "case" in lower.notes[0]
    assert not right.notes


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("C9H8O4", "C9H8O4"), ("H2CO3", "CH2O3"), ("NH4+", "H4N+"), ("SO42-", "O4S-2"), ("SO4^2-", "O4S-2"),
        ("Fe3+", "Fe+3"), ("Fe+3", "Fe+3"), ("O4S-2", "O4S-2"), ("[Fe(CN)6]4-", "C6FeN6-4"), ("Mg(NO3)2", "MgN2O6"),
        ("CuSO4.5H2O", "CuH10O9S"), ("D2O", "H2O"), ("NaCl(aq)", "ClNa"), ("CH3CH2OH", "C2H6O"), ("Cl-", "Cl-"),
        ("PO43-", "O4P-3"), ("I3-", "I3-"), ("N3-", "N3-"), ("O2-", "O-2"), ("C10H13N5O10P2-2", "C10H13N5O10P2-2"),
    ],
)  # fmt: skip
def test_formulas_in_hill_order(text: str, written: str) -> None:
    assert str(formula.parse(text)) == written


@pytest.mark.parametrize(
    "text", ["", "Tin", "Carbon", "C0", "(", "C(", "F-18", "Xx2", "2", "+", "C9H8O4 and"]
)
def test_what_is_no_formula(text: str) -> None:
    assert formula.parse(text) is None


@given(st.dictionaries(st.sampled_from(formula.ELEMENTS), st.integers(1, 99), min_size=1), st.integers(-4, 4))
@settings(max_examples=100, deadline=None)
def test_a_written_formula_reads_back(counts: dict[str, int], charge: int) -> None:
    read = formula.parse(str(formula.Formula(counts, charge)), written=True)
    assert read is not None
    assert read.counts == counts
    assert (read.charge or 0) == charge


@pytest.mark.parametrize(
    "smiles", ["[NH4+]", "[Fe+3]", "CC(=O)[O-]", "OCC1OC(O)C(O)C(O)C1O", "[Na+].[Cl-]", "I[I-]I"]
)
def test_formulas_of_molecules_are_understood(smiles: str) -> None:
    molecule = Chem.MolFromSmiles(smiles)
    written = rdMolDescriptors.CalcMolFormula(molecule)
    hill, charge = formula.key(written)
    assert charge == Chem.GetFormalCharge(molecule)
    assert formula.parse(hill).counts == formula.parse(written).counts


def test_a_structure_comes_with_its_identifiers() -> None:
    structure = understand("OC(=O)c1ccccc1OC(C)=O").structure
    assert structure.smiles == "CC(=O)Oc1ccccc1C(=O)O"
    assert structure.inchikey == ASPIRIN_KEY
    assert structure.formula == "C9H8O4"
    assert understand(structure.inchi).structure.smiles == structure.smiles


def test_a_pasted_molfile_keeps_its_stereo_whatever_the_line_ends() -> None:
    alanine = Chem.MolFromSmiles("C[C@H](N)C(=O)O")
    rdDepictor.Compute2DCoords(alanine)
    block = Chem.MolToMolBlock(alanine)
    for text in (block, block.replace("\n", "\r\n"), f"{block}$$$$\n{block}$$$$\n"):
        query = understand(text)
        assert query.kind == "molfile"
        assert query.structure.smiles == "C[C@H](N)C(=O)O"
    assert "first molecule" in query.notes[0]


def test_a_misspelt_name_is_corrected_aloud() -> None:
    query = understand("asprin", knows=Knows())
    assert query.corrected == "aspirin"
    assert "aspirin" in query.label
    assert query.notes == ("Showing results for aspirin.",)


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("", "nothing to search", "q"), (" \n\t ", "nothing to search", "q"), ("\x00\x01", "nothing to search", "q"),
        ("CC(=O", "never closed", "q"), ("C1CC", "never closed", "q"), ("CC(C)(C)(C)C", "5 bonds", "q"),
        ("c1cccc1", "double bonds", "q"), ("C" * 10_000, "10,000 heavy atoms", "q"),
    ],
)  # fmt: skip
def test_bad_input_names_fault_and_field(text: str, message: str, field: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        understand(text)
    assert caught.value.field == field
    assert caught.value.remedy


def test_long_text_is_refused_by_its_length() -> None:
    assert understand("word " * (LONGEST // 5)).kind == "prose"
    for text in ("a word " * 15_000, "é" * (LONGEST // 2 + 1)):
        with pytest.raises(LimitError, match="20,000 is the limit"):
            understand(text)


def test_control_and_invisible_characters_are_left_out_with_a_note() -> None:
    query = understand("asp\x00i\u200brin\x07", knows=Knows())
    assert query.text == "aspirin"
    assert query.notes == ("2 control characters were left out.", "1 invisible character was left out.")
    assert understand("👩‍🔬 lab").text == "👩‍🔬 lab"


@pytest.mark.parametrize(
    ("text", "read_as", "message"),
    [
        ("hello", "formula", "not a molecular formula"), ("hello", "inchikey", "not an InChIKey"),
        ("50-78-3", "cas", "not a CAS number"), ("hello", "smiles", "cannot be read"),
        ("hello", "molfile", "cannot be read"), ("[C", "smarts", "cannot be read"),
        ("x", "nonsense", "cannot be read as"),
    ],
)  # fmt: skip
def test_a_forced_reading_that_cannot_be_is_an_error(text: str, read_as: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        understand(text, read_as=read_as)


@given(st.text(max_size=60), st.sampled_from(("auto", *KINDS)))
@settings(max_examples=150, deadline=None)
def test_no_text_does_worse_than_an_input_error(text: str, read_as: str) -> None:
    kind = "refused"
    with contextlib.suppress(InputError):  # anything else fails the test
        kind = understand(text, read_as=read_as, knows=Knows()).kind
    assert kind in (*KINDS, "refused")
