"""The parent form and its steps, the identity of a molecule, and refusals in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from mlcore.retrieval import descriptors
from mlcore.retrieval.preparation import Preparation, Prepared, Refused
from mlcore.retrieval.sources import Limits
from mlcore.retrieval.standardise import needs_work, standardise

prepare = Preparation(Limits())


def prepared(smiles: str) -> Prepared:
    found = prepare("smiles", smiles)
    assert isinstance(found, Prepared), found
    return found


def refused(structure: str, kind: str = "smiles") -> str:
    found = prepare(kind, structure)
    assert isinstance(found, Refused), found
    return found.reason


@pytest.mark.parametrize(
    ("smiles", "parent", "steps"),
    [
        ("CCO", "CCO", ()),
        ("CCN.Cl", "CCN", ("removed the counter-ion hydrogen chloride",)),
        ("CC[NH3+].[Cl-]", "CCN", ("removed the counter-ion chloride", "neutralised")),
        ("CC(=O)[O-].[Na+]", "CC(=O)O", ("removed the counter-ion sodium", "neutralised")),
        ("CC(=O)Nc1ccc(O)cc1.O.O", "CC(=O)Nc1ccc(O)cc1", ("removed the solvent 2 x water",)),
        ("C[N+](C)(C)C.[Br-]", "C[N+](C)(C)C", ("removed the counter-ion bromide",)),
        ("[Na+].[Cl-]", "[Cl-].[Na+]", ("kept whole: no part is organic",)),
        ("NCC(=O)O", "NCC(=O)O", ()),
        ("[NH3+]CC(=O)[O-]", "NCC(=O)O", ("neutralised",)),
        ("CCO.CCO", "CCO", ("kept one of 2 equal parts",)),
    ],
)
def test_parent_and_steps(smiles: str, parent: str, steps: tuple[str, ...]) -> None:
    mol = Chem.MolFromSmiles(smiles)
    found = standardise(mol, Chem.MolToSmiles(mol))
    assert (found.smiles, found.steps) == (parent, steps)


def test_unknown_parts_are_named_by_formula() -> None:
    mol = Chem.MolFromSmiles("CCCCCCCCN.OCCCF")
    assert standardise(mol, Chem.MolToSmiles(mol)).steps == ("removed the part C3H7FO",)


@pytest.mark.parametrize("smiles", ["CS(C)=O", "CC[NH3+]", "C[CH2]", "CCO.O", "C[Hg]C"])
def test_work_is_not_skipped_where_it_matters(smiles: str) -> None:
    assert needs_work(Chem.MolFromSmiles(smiles))


def test_what_was_uploaded_stays() -> None:
    found = prepared("OC(=O)c1ccccc1OC(C)=O.[Na]")
    assert found.smiles == "OC(=O)c1ccccc1OC(C)=O.[Na]"
    assert found.parent_inchikey == prepared("CC(=O)Oc1ccccc1C(=O)O").inchikey
    assert found.inchikey != found.parent_inchikey


@pytest.mark.parametrize(
    ("first", "second"),
    [("OCC", "CCO"), ("C1=CC=CC=C1", "c1ccccc1"), ("CN(=O)=O", "C[N+](=O)[O-]"), ("CS(C)=O", "C[S+](C)[O-]")],
)
def test_two_drawings_of_one_molecule_are_one(first: str, second: str) -> None:
    assert prepared(first).identity == prepared(second).identity


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Oc1ccccn1", "O=c1cccc[nH]1"),  # tautomers
        ("NCC(=O)O", "[NH3+]CC(=O)[O-]"),  # zwitterion
        ("CC(=O)O", "CC(=O)[O-].[Na+]"),  # salt
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),  # enantiomers
        ("C/C=C/C", "C/C=C\\C"),
        ("[2H]OC", "OC"),  # isotope
        ("*CC", "*CCC"),  # without an InChI
    ],
)
def test_different_molecules_stay_apart(first: str, second: str) -> None:
    assert prepared(first).identity != prepared(second).identity


def test_tautomers_share_a_key() -> None:
    assert prepared("Oc1ccccn1").tautomer_key == prepared("O=c1cccc[nH]1").tautomer_key
    assert prepared("CC(=O)O").tautomer_key == prepared("CC(=O)[O-].[Na+]").tautomer_key
    assert prepared("CCO").tautomer_key != prepared("CCN").tautomer_key


def test_facts_of_aspirin() -> None:
    found = prepared("CC(=O)Oc1ccccc1C(=O)O")
    assert found.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    assert found.formula == "C9H8O4"
    assert (found.weight, found.exact_mass) == (180.159, 180.042259)
    assert found.elements == {"C": 9, "O": 4, "H": 8}
    logp, tpsa, donors, acceptors, rings, charge, centres, heavy, rotatable = found.properties
    assert (logp, tpsa) == pytest.approx((1.3101, 63.6), abs=1e-3)
    assert (donors, acceptors, rings, charge, centres, heavy, rotatable) == (1, 3, 1, 0, 0, 13, 2)
    assert prepared("CC(O)C(N)C").properties[6] == 2  # stereo centres count also when nobody assigned them


def test_fingerprint_bits_are_packed_as_documented() -> None:
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1")
    bits = np.unpackbits(descriptors.pattern_bits(mol), bitorder="little")
    assert set(np.flatnonzero(bits)) == set(Chem.PatternFingerprint(mol, fpSize=2048).GetOnBits())
    part, whole = descriptors.pattern_bits(Chem.MolFromSmiles("c1ccccc1")), descriptors.pattern_bits(mol)
    assert np.array_equal(part & whole, part)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("CC(C)(C)(C)C", "atom 2: carbon with 5 bonds"),
        ("c1cccc1", "atoms 1, 2, 3, 4, 5: these aromatic atoms cannot be drawn"),
        ("C(C", "a parenthesis is opened and never closed"),
        ("CC)C", "a parenthesis is closed that was never opened"),
        ("C1CC", "a ring is opened and never closed"),
        ("CXC", r"character 2 \('X'\)"),
        ("CcC", "atom 2: drawn aromatic but not in a ring"),
        ("ethanol", r"cannot be read from character 1 \('e'\) on"),
        ("C C", r"character 2 \(a space\)"),
        ("Cé", r"character 2 \('é'\)"),
        ("🙂", "does not belong"),
        ("C" * 1001, "1,001 atoms; at most 1,000"),
        ("C" * 10_000, "10,000 atoms; at most 1,000"),
    ],
)
def test_reasons_in_words(smiles: str, reason: str) -> None:
    assert re.search(reason, refused(smiles)), refused(smiles)


def test_reasons_for_molfiles_and_inchi() -> None:
    pentavalent = (
        "bad\n\n\n  6  5  0  0  0  0  0  0  0  0999 V2000\n"
        + "    0.0000    0.0000    0.0000 C   0  0\n" * 6
        + "".join(f"  1{n:3}  1  0\n" for n in range(2, 7))
        + "M  END\n"
    )
    assert refused(pentavalent, "molblock") == "atom 1: carbon with 5 bonds"
    assert "list of atoms" in refused("\n".join(pentavalent.split("\n")[:6]), "molblock")
    assert refused("no molfile", "molblock")
    assert refused(pentavalent.replace(" C ", " Xx"), "molblock") == "there is no element 'Xx'"
    assert (
        refused(pentavalent.replace("  1  6", "  1  9"), "molblock")
        == "a bond names an atom that does not exist"
    )
    assert refused("InChI=1S/garbage", "inchi")
    assert refused("CCO", "inchi") == "it does not begin with 'InChI='"


def test_inchi_is_read_and_said_so() -> None:
    found = prepare("inchi", "InChI=1S/C2H6O/c1-2-3/h3H,2H2,1H3")
    assert isinstance(found, Prepared)
    assert found.smiles == "CCO"
    assert found.standardisation == ("read from the InChI",)


def test_stereo_survives_a_molfile() -> None:
    for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "C/C=C/Cl", "C/C=C\\Cl", "F[C@](Cl)(Br)I"):
        mol = Chem.MolFromSmiles(smiles)
        rdDepictor.Compute2DCoords(mol)
        found = prepare("molblock", Chem.MolToMolBlock(mol))
        assert isinstance(found, Prepared)
        assert found.canonical_smiles == Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def test_extension_of_the_smiles_is_left_out_and_said_so() -> None:
    found = prepared("C[C@H](N)O |o1:1|")
    assert found.smiles == "C[C@H](N)O"
    assert found.standardisation == ("left out the CXSMILES extension",)
