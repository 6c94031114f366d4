"""Writing molecules as an SD file."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdDepictor

from mlcore.retrieval.inside.structures import parse

#: atoms above which a molfile needs version 3000
MOST_V2000 = 999


def sdf(records: list[dict[str, object]]) -> tuple[list[int], bytes]:
    """``records`` (``smiles``, ``title``, ``fields``: name to text) as an SD file in V2000, V3000 only where
    it must.

    Returns the positions of records that could not be written, and the file.
    """
    parts: list[str] = []
    failed: list[int] = []
    for place, record in enumerate(records):
        try:
            molecule = parse(str(record["smiles"]), "smiles")
            rdDepictor.Compute2DCoords(molecule)
            molecule.SetProp("_Name", str(record["title"]))
            large = molecule.GetNumAtoms() > MOST_V2000 or molecule.GetNumBonds() > MOST_V2000
            block = Chem.MolToV3KMolBlock(molecule) if large else Chem.MolToMolBlock(molecule)
        except (ValueError, RuntimeError):
            failed.append(place)
            continue
        fields = record["fields"]
        assert isinstance(fields, dict)
        data = "".join(f">  <{name}>\n{text}\n\n" for name, text in fields.items())
        parts.append(f"{block}{data}$$$$\n")
    return failed, "".join(parts).encode()
