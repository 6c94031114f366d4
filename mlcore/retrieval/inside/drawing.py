"""Drawing molecules as SVG or PNG, for pages of either theme."""

from __future__ import annotations

from typing import Any

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from mlcore.retrieval.inside.structures import parse, parse_pattern

_Colour = tuple[float, float, float]


def _rgb(code: str) -> _Colour:
    return tuple(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


#: colours of atoms by atomic number (0 for all others), at least 4.5 : 1 against #ffffff and #11161d
PALETTES: dict[str, dict[int, str]] = {
    "light": {
        0: "#1f2933", 1: "#52606d", 5: "#a3480f", 7: "#1d4ed8", 8: "#c81e1e", 9: "#0f766e", 15: "#b45309",
        16: "#8a6100", 17: "#15803d", 35: "#9a3412", 53: "#6d28d9",
    },
    "dark": {
        0: "#e4e9f0", 1: "#b8c2cf", 5: "#fdba74", 7: "#8ab4ff", 8: "#ff8a80", 9: "#5eead4", 15: "#fbbf24",
        16: "#fde047", 17: "#86efac", 35: "#fdba74", 53: "#c4b5fd",
    },
}  # fmt: skip
#: what marks atoms that are to stand out, unless they bring their own colour
HIGHLIGHT = {"light": "#ffd166", "dark": "#8a6d1f"}


def _laid_out(smiles: str, core: str) -> Chem.Mol:
    molecule = parse(smiles, "smiles")
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(molecule)
    if core:
        template = parse_pattern(core)
        rdDepictor.Compute2DCoords(template)
        if molecule.HasSubstructMatch(template):
            rdDepictor.GenerateDepictionMatching2DStructure(molecule, template)
            return molecule
    rdDepictor.StraightenDepiction(molecule)
    return molecule


def draw(
    smiles: str,
    form: str,
    width: int,
    height: int,
    theme: str,
    atoms: dict[str, str],
    stereo: bool,
    core: str,
    numbers: bool,
    ground: str,
) -> tuple[None, bytes]:
    """``smiles`` drawn as ``form`` ``svg`` or ``png``.

    ``atoms``: colour (``#rrggbb`` or empty for the theme's) of each atom to stand out, by its number in
    ``smiles``. ``core``: SMARTS whose match is laid out the same way in every drawing. ``numbers``: write
    atom numbers from 1. ``ground``: a colour behind the drawing, empty for none.
    """
    molecule = _laid_out(smiles, core)
    drawer: Any = (
        rdMolDraw2D.MolDraw2DSVG(width, height)
        if form == "svg"
        else rdMolDraw2D.MolDraw2DCairo(width, height)
    )
    options: Any = drawer.drawOptions()
    palette = {number: _rgb(code) for number, code in PALETTES[theme].items()}
    palette[-1] = palette[0]
    options.setAtomPalette(palette)
    # without a ground nothing is painted at all: programs that do not know transparency would make it black
    options.clearBackground = bool(ground)
    if ground:
        options.setBackgroundColour(_rgb(ground))
    options.setSymbolColour(palette[0])
    note = _rgb("#52606d" if theme == "light" else "#b8c2cf")
    options.setAnnotationColour(note)
    options.setAtomNoteColour(note)
    options.setBondNoteColour(note)
    options.setQueryColour(palette[0])
    options.addStereoAnnotation = stereo
    options.addAtomIndices = False
    options.padding = 0.06
    options.fixedBondLength = 32.0
    options.bondLineWidth = 1.6 if width < 400 else 2.0
    options.multipleBondOffset = 0.16
    options.minFontSize = 9
    options.annotationFontScale = 0.62
    options.highlightBondWidthMultiplier = 14
    if numbers:
        for atom in molecule.GetAtoms():
            atom.SetProp("atomNote", str(atom.GetIdx() + 1))
    count = molecule.GetNumAtoms()
    colours = {int(i): _rgb(c or HIGHLIGHT[theme]) for i, c in atoms.items() if 0 <= int(i) < count}
    bonds = {
        bond.GetIdx(): colours[bond.GetBeginAtomIdx()]
        for bond in molecule.GetBonds()
        if bond.GetBeginAtomIdx() in colours
        and colours.get(bond.GetEndAtomIdx()) == colours[bond.GetBeginAtomIdx()]
    }
    rdMolDraw2D.PrepareAndDrawMolecule(
        drawer,
        molecule,
        highlightAtoms=list(colours),
        highlightAtomColors=colours,
        highlightBonds=list(bonds),
        highlightBondColors=bonds,
    )
    drawer.FinishDrawing()
    drawn = drawer.GetDrawingText()
    return None, drawn.encode() if isinstance(drawn, str) else drawn
