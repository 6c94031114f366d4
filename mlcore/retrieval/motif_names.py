"""What a chemist calls a motif: the functional group or ring that a set of atoms is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from rdkit import Chem

#: (SMARTS, name), most specific first; a motif takes the first pattern that lies inside it
_GROUPS = (
    ("C1CCC2C(C1)CCC1C2CCC2CCCC12", "steroid skeleton"),
    ("[OX2]1[#6][#6][#6][#6][#6]1[OX2,OX1]", "pyranose ring"),
    ("[OX2]1[#6][#6][#6][#6]1[OX2]", "furanose ring"),
    ("c1ncc2[nH]cnc2n1", "purine"), ("c1ncc2ncnc2n1", "purine"), ("c1ccc2[nH]ccc2c1", "indole"),
    ("c1ccc2ncccc2c1", "quinoline"), ("c1ccc2cnccc2c1", "isoquinoline"), ("c1ccc2ccccc2c1", "naphthalene"),
    ("c1cncnc1", "pyrimidine ring"), ("c1cnccn1", "pyrazine ring"), ("n1ccccc1", "pyridine ring"),
    ("[nH]1cccc1", "pyrrole ring"), ("c1cncn1", "imidazole ring"), ("c1ccnn1", "pyrazole ring"),
    ("c1cscn1", "thiazole ring"), ("c1cocn1", "oxazole ring"), ("o1cccc1", "furan ring"), ("s1cccc1", "thiophene ring"),
    ("c1nnnn1", "tetrazole ring"), ("c1nncn1", "triazole ring"),
    ("[OX2H]c1ccccc1", "phenol"), ("c1ccccc1", "benzene ring"), ("O=C1C=CC(=O)C=C1", "quinone"),
    ("N1CCNCC1", "piperazine ring"), ("N1CCOCC1", "morpholine ring"), ("N1CCCCC1", "piperidine ring"),
    ("N1CCCC1", "pyrrolidine ring"), ("O=C1CCCO1", "lactone ring"), ("C1CCCCC1", "cyclohexane ring"),
    ("C1=CCCCC1", "cyclohexene ring"), ("C1CCCC1", "cyclopentane ring"), ("C1CC1", "cyclopropane ring"),
    ("C1OC1", "epoxide"),
    ("P(=O)([OX2,OX1-])([OX2,OX1-])[OX2,OX1-]", "phosphate"), ("P(=O)([#8])[#8]", "phosphonate"),
    ("S(=O)(=O)([OX2H,OX1-])[OX2]", "sulfate"), ("S(=O)(=O)[OX2H,OX1-]", "sulfonic acid"),
    ("S(=O)(=O)N", "sulfonamide"), ("S(=O)(=O)", "sulfone"), ("[#6]S(=O)[#6]", "sulfoxide"),
    ("[CX3](=O)[OX2H1]", "carboxylic acid"), ("[CX3](=O)[OX1-]", "carboxylate"),
    ("[NX3][CX3](=O)[OX2]", "carbamate"), ("[NX3][CX3](=O)[NX3]", "urea"), ("[CX3](=O)[NX3]", "amide"),
    ("[CX3](=O)[OX2][#6]", "ester"), ("[OX2][CX3](=O)", "acyloxy"), ("[CX3H1]=O", "aldehyde"), ("[CX3]=O", "carbonyl"),
    ("[N+](=O)[O-]", "nitro group"), ("C#N", "nitrile"), ("N=[N+]=[N-]", "azide"), ("N=N", "azo group"),
    ("[NX3][CX3](=[NX2])[NX3]", "guanidine"), ("C(F)(F)F", "trifluoromethyl"), ("[SX2H]", "thiol"),
    ("[#6]S[#6]", "thioether"), ("SS", "disulfide"), ("[N+;X4]", "ammonium"), ("[NX3;H2]", "amine"),
    ("[NX3;H1]", "secondary amine"), ("[NX3]", "amine nitrogen"), ("[CX4][OX2H]", "alcohol"), ("[OX2H]", "hydroxy"),
    ("[OX2]([CH3])", "methoxy"), ("[CX4][OX2][CX4]", "ether"), ("[OX2]", "ether oxygen"),
    ("C#C", "alkyne"), ("C=C", "alkene"),
    ("[F]", "fluorine"), ("[Cl]", "chlorine"), ("[Br]", "bromine"), ("[I]", "iodine"),
    ("CCCCCCCC", "long carbon chain"), ("CCCC", "carbon chain"), ("CC", "short carbon chain"), ("[CH3]", "methyl"),
    ("[CH2]", "methylene"), ("C", "carbon"),
)  # fmt: skip


@cache
def _patterns() -> tuple[tuple[Chem.Mol, str], ...]:
    return tuple((Chem.MolFromSmarts(smarts), name) for smarts, name in _GROUPS)


def name_motifs(mol: Chem.Mol, groups: Sequence[Sequence[int]]) -> list[dict[str, object]]:
    """``{"index", "label", "smiles", "atoms"}`` of each motif; like ones are numbered ("alcohol 1", "alcohol 2")."""
    labels = [_label(mol, set(group)) for group in groups]
    seen: dict[str, int] = {}
    out: list[dict[str, object]] = []
    for index, (group, label) in enumerate(zip(groups, labels, strict=True)):
        shown = label
        if labels.count(label) > 1:
            seen[label] = seen.get(label, 0) + 1
            shown = f"{label} {seen[label]}"
        spelt = Chem.MolFragmentToSmiles(mol, atomsToUse=list(group))
        out.append({"index": index, "label": shown, "smiles": spelt, "atoms": list(group)})
    return out


def _label(mol: Chem.Mol, atoms: set[int]) -> str:
    for pattern, name in _patterns():
        if any(atoms.issuperset(match) for match in mol.GetSubstructMatches(pattern, maxMatches=200)):
            return name
    return Chem.MolFragmentToSmiles(mol, atomsToUse=sorted(atoms))
