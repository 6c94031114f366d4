"""A small inference door for page tests: twelve molecules, real drawings, answers in the door's own shape."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

MODEL = "5f" * 32
CATALOGUE = "c0" * 32
ABSENT = "no such thing"
LABELS = {
    "prose": "read as a description",
    "name": "read as a name",
    "smiles": "read as SMILES",
    "molfile": "read as a molfile",
    "formula": "read as a formula",
}

ROWS = (
    ("geraniol", "CC(C)=CCCC(C)=CCO", "terpenes", "A monoterpenoid alcohol with a sweet smell of roses."),
    ("citronellol", "CC(C)=CCCC(C)CCO", "terpenes", "A rosy monoterpenoid alcohol of rose and geranium oil."),
    ("2-phenylethanol", "OCCc1ccccc1", "scents", "An aromatic alcohol that carries the scent of rose petals."),
    ("linalool", "CC(C)=CCCC(C)(O)C=C", "terpenes", "A tertiary terpene alcohol that smells of lavender."),
    ("aspirin", "CC(=O)Oc1ccccc1C(=O)O", "drugs", "A salicylate taken against pain and fever."),
    ("ibuprofen", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "drugs", "A propionic acid sold against pain."),
    ("caffeine", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "alkaloids", "The xanthine of coffee that keeps people awake."),
    ("vanillin", "COc1cc(C=O)ccc1O", "scents", "The phenolic aldehyde behind the taste of vanilla."),
    ("L-alanine", "C[C@H](N)C(=O)O", "amino acids", "A small amino acid that builds proteins."),
    ("menthol", "CC(C)[C@@H]1CC[C@@H](C)C[C@H]1O", "terpenes", "The cooling alcohol of peppermint."),
    ("glucose", "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O", "sugars", "The sugar that blood carries."),
    ("acetylcholine", "CC(=O)OCC[N+](C)(C)C", "metabolites", "A charged ester that passes signals between nerves."),
)  # fmt: skip


@cache
def molecules() -> tuple[dict[str, Any], ...]:
    """The rows with the properties that RDKit computes."""
    from rdkit import Chem
    from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

    out = []
    for number, (name, smiles, category, sentence) in enumerate(ROWS):
        mol = Chem.MolFromSmiles(smiles)
        out.append(
            {
                "id": f"F{number:04}",
                "name": name,
                "smiles": smiles,
                "standard_smiles": "CC(=O)OCCN(C)C" if name == "acetylcholine" else Chem.MolToSmiles(mol),
                "inchi": Chem.MolToInchi(mol),
                "inchikey": Chem.MolToInchiKey(mol),
                "formula": rdMolDescriptors.CalcMolFormula(mol),
                "weight": Descriptors.MolWt(mol),
                "exact_mass": Descriptors.ExactMolWt(mol),
                "logp": Crippen.MolLogP(mol),
                "tpsa": rdMolDescriptors.CalcTPSA(mol),
                "hbd": rdMolDescriptors.CalcNumHBD(mol),
                "hba": rdMolDescriptors.CalcNumHBA(mol),
                "rings": rdMolDescriptors.CalcNumRings(mol),
                "charge": Chem.GetFormalCharge(mol),
                "stereocentres": len(Chem.FindMolChiralCenters(mol, includeUnassigned=True)),
                "heavy_atoms": mol.GetNumHeavyAtoms(),
                "rotatable": rdMolDescriptors.CalcNumRotatableBonds(mol),
                "description": sentence,
                "descriptions": [sentence],
                "synonyms": [f"{name} (synonym)"],
                "category": category,
                "source": "built-in catalogue",
                "standardisation": ["neutralised"] if name == "acetylcholine" else [],
                "properties": {},
                "motifs": _motifs(mol),
            }
        )
    return tuple(out)


def _motifs(mol: Any) -> list[dict[str, Any]]:
    from rdkit import Chem

    rings = [list(ring) for ring in mol.GetRingInfo().AtomRings()]
    rest = [atom.GetIdx() for atom in mol.GetAtoms() if not atom.IsInRing()]
    groups = rings + [rest[at : at + 3] for at in range(0, len(rest), 3)]
    return [
        {
            "index": n,
            "label": Chem.MolFragmentToSmiles(mol, atoms),
            "smiles": Chem.MolFragmentToSmiles(mol, atoms),
            "atoms": atoms,
        }
        for n, atoms in enumerate(groups)
    ]


@dataclass
class FakeDoor:
    """Answers like ``workers.inference`` and ``workers.libraries`` do; ``calls`` keeps what it was asked."""

    inference: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    total: int = len(ROWS)
    model: str = MODEL
    notes: list[str] = field(default_factory=list)

    def search(self, **asked: Any) -> dict[str, Any]:
        """Rows whose name or sentence shares a word with the text, then the others."""
        self.calls.append(("search", asked))
        text = asked["text"]
        if "\x00" in text:
            raise self.inference.BadInput("The text holds a null byte.", "text", "Paste it as plain text.")
        if text == "C1CC":
            raise self.inference.BadInput(
                "This SMILES has an unclosed ring, atom 1.", "text", "Close the ring: C1CC1."
            )
        words = re.findall(r"\w{4,}", text.lower())
        ranked = sorted(molecules(), key=lambda row: -self._overlap(row, words))
        if text == ABSENT:
            ranked = []
        least = asked["filters"].get("weight_min", 0)
        most = asked["filters"].get("weight_max", 1e9)
        ranked = [row for row in ranked if least <= row["weight"] <= most]
        shown = ranked[asked["offset"] % max(len(ranked), 1) :][: asked["k"]]
        kind, canonical = self._kind(text, asked["read_as"])
        return {
            "query": {
                "text": text,
                "kind": kind,
                "label": LABELS[kind],
                "alternatives": [{"read_as": "name", "label": "look it up as a name"}]
                if kind != "name"
                else [],
                "canonical": canonical,
                "smiles": canonical,
                "corrected": "aspirin" if text == "asprin" else None,
                "notes": [],
            },
            "hits": [
                self._hit(row, rank, words, kind) for rank, row in enumerate(shown, asked["offset"] + 1)
            ],
            "total": self.total if ranked and self.total > len(ROWS) else len(ranked),
            "offset": asked["offset"],
            "k": asked["k"],
            "verdict": {
                "level": "absent" if "unobtainium" in text else "found",
                "text": "The nearest rows are shown.",
            },
            "libraries": [
                {"id": "catalogue", "name": "Catalogue", "size": len(ROWS), "fingerprint": CATALOGUE}
            ],
            "model": self.model,
            "took_ms": 12.4,
            "notes": [],
            **({"facets": self._facets(ranked)} if asked.get("facets") else {}),
        }

    def molecule(self, library: str, identifier: str) -> dict[str, Any]:
        """One row."""
        return {"library": library, "library_name": "Catalogue", "molecule": self._row(identifier)}

    def neighbours(self, library: str, identifier: str, k: int = 12) -> dict[str, Any]:
        """The other rows."""
        others = [row for row in molecules() if row["id"] != identifier][:k]
        hits = [self._hit(row, n, [], "smiles") for n, row in enumerate(others, 1)]
        return {"library": library, "id": identifier, "hits": hits}

    def explain(self, text: str, library: str, identifier: str) -> dict[str, Any]:
        """A plan whose mass follows word and motif lengths."""
        row = self._row(identifier)
        words = [
            {
                "index": n,
                "text": found.group(),
                "start": found.start(),
                "end": found.end(),
                "telling": len(found.group()) > 3,
            }
            for n, found in enumerate(re.finditer(r"\w+", text))
        ]
        motifs, atoms = row["motifs"], sum(symbol.isalpha() for symbol in row["standard_smiles"])
        weights = [[1.0 / (1 + (3 * w["index"] + 2 * m["index"]) % 5) ** 2 for m in motifs] for w in words]
        all_of_it = sum(map(sum, weights)) or 1.0
        plan = [[value / all_of_it for value in line] for line in weights]
        links = [
            {"word": w["index"], "motif": m["index"], "mass": plan[w["index"]][m["index"]], "pull": 0.1}
            for w in words
            for m in motifs
        ]
        return {
            "text": text,
            "molecule": {name: row[name] for name in ("id", "name", "smiles")},
            "words": words,
            "motifs": motifs,
            "plan": plan,
            "links": sorted(links, key=lambda link: -link["mass"]),
            "atom_scores": [[((w["index"] + atom) % 4) / 3 for atom in range(atoms)] for w in words],
            "score": {"total": 0.71, "sentence": 0.64, "phrase": 0.58, "token": 0.49},
        }

    def compare(self, text: str, library: str, first: str, second: str) -> dict[str, Any]:
        """The first is always a little better."""
        one, two = (
            {"molecule": {n: self._row(i)[n] for n in ("id", "name", "smiles")}} for i in (first, second)
        )
        words = re.findall(r"\w+", text)
        return {
            "text": text,
            "first": {**one, "score": {"total": 0.71, "sentence": 0.64, "phrase": 0.58, "token": 0.49}},
            "second": {**two, "score": {"total": 0.60, "sentence": 0.61, "phrase": 0.40, "token": 0.50}},
            "differences": [
                {"part": "sentence", "first": 0.64, "second": 0.61},
                {"part": "phrase", "first": 0.58, "second": 0.40},
                {"part": "token", "first": 0.49, "second": 0.50},
            ],
            "words": [
                {
                    "text": word,
                    "first": 0.1 * (n % 4),
                    "second": 0.05 * (n % 5),
                    "favours": ("first", "second", "neither")[n % 3],
                }
                for n, word in enumerate(words)
            ],
            "sentence": f"{one['molecule']['name']} stands above {two['molecule']['name']}: its groups fit better.",
        }

    def describe(self, structure: str, libraries: Any = None, k: int = 10) -> dict[str, Any]:
        """Sentences of the rows."""
        texts = [
            {
                "text": row["description"],
                "score": 0.9 - n / 10,
                "library": "catalogue",
                "id": row["id"],
                "name": row["name"],
            }
            for n, row in enumerate(molecules()[:k])
        ]
        return {"smiles": structure, "texts": texts}

    def lookup(self, items: list[str], libraries: Any = None) -> dict[str, Any]:
        """Names that are rows are found; "pain" is ambiguous."""
        rows = []
        for item in items:
            matches = [row for row in molecules() if row["name"] == item.lower()]
            if item == "pain":
                matches = [row for row in molecules() if row["category"] == "drugs"]
            status = ("not found", "found", "ambiguous")[min(len(matches), 2)]
            named = [
                {"library": "catalogue", **{n: row[n] for n in ("id", "name", "smiles", "inchikey")}}
                for row in matches
            ]
            rows.append({"item": item, "status": status, "kind": "name", "matches": named, "note": ""})
        counts = {
            name: sum(row["status"] == name.replace("_", " ") for row in rows)
            for name in ("found", "ambiguous", "not_found")
        }
        return {"items": rows, **counts}

    def suggest(self, prefix: str, *, libraries: Any = None, k: int = 8) -> dict[str, Any]:
        """Names that begin with the prefix."""
        found = [row for row in molecules() if row["name"].lower().startswith(prefix.lower())][:k]
        return {
            "suggestions": [
                {"text": r["name"], "name": r["name"], "library": "catalogue", "id": r["id"]} for r in found
            ]
        }

    def depict(
        self,
        structure: str,
        *,
        format: str = "svg",
        width: int = 260,
        height: int = 200,
        theme: str = "light",
        atoms: tuple[int, ...] = (),
        stereo: bool = True,
        ground: str = "",
    ) -> bytes:
        """A drawing by RDKit."""
        from rdkit import Chem
        from rdkit.Chem.Draw import rdMolDraw2D

        mol = Chem.MolFromSmiles(structure)
        if mol is None or not structure:
            raise self.inference.BadInput(
                f"“{structure[:40]}” is no SMILES.", "structure", "Check the brackets."
            )
        if any(atom >= mol.GetNumAtoms() for atom in atoms):
            raise self.inference.BadInput("There is no such atom.", "atoms", "Count from 0.")
        kind = rdMolDraw2D.MolDraw2DSVG if format == "svg" else rdMolDraw2D.MolDraw2DCairo
        drawing = kind(width, height)
        if theme == "dark":
            rdMolDraw2D.SetDarkMode(drawing)
        drawing.drawOptions().clearBackground = False
        rdMolDraw2D.PrepareAndDrawMolecule(drawing, mol, highlightAtoms=list(atoms))
        drawing.FinishDrawing()
        text = drawing.GetDrawingText()
        return text.encode() if isinstance(text, str) else text

    def molfile(self, structure: str) -> str:
        """A V2000 molfile."""
        from rdkit import Chem

        return str(Chem.MolToMolBlock(Chem.MolFromSmiles(structure)))

    def export(self, kind: str, rows: list[tuple[Any, ...]], query: str) -> tuple[str, str, bytes, list[str]]:
        """CSV with library, id and name; the other formats list SMILES."""
        self.calls.append(("export", {"kind": kind, "rows": rows, "query": query}))
        lines = ["library,id,name", *(f"{row[0]},{row[1]},{self._row(row[1])['name']}" for row in rows)]
        return f"ferry.{kind}", "text/csv", "\n".join(lines).encode(), self.notes

    def list_libraries(self, user: Any) -> list[dict[str, Any]]:
        """The catalogue."""
        return [
            {
                "id": "catalogue",
                "name": "Catalogue",
                "size": len(ROWS),
                "fingerprint": CATALOGUE,
                "status": "ready",
                "mine": False,
            }
        ]

    def _facets(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Two bars a property: up to its middle, and above."""
        numbers = []
        for name in ("weight", "logp", "rings", "charge"):
            values = [row[name] for row in rows]
            if values:
                low, high = min(values), max(values) + 1
                middle = (low + high) / 2
                below = sum(value < middle for value in values)
                facts = {"name": name, "min": low, "max": max(values), "edges": [low, middle, high]}
                numbers.append({**facts, "counts": [below, len(values) - below]})
        categories = Counter(row["category"] for row in rows)
        return {
            "total": len(rows),
            "numbers": numbers,
            "categories": dict(categories.most_common()),
            "libraries": [{"id": "catalogue", "name": "Catalogue", "count": len(rows)}],
        }

    def _row(self, identifier: str) -> dict[str, Any]:
        for row in molecules():
            if row["id"] == identifier:
                return row
        raise self.inference.NotFound(f"There is no molecule “{identifier}” in this library.")

    def _overlap(self, row: dict[str, Any], words: list[str]) -> int:
        text = f"{row['name']} {row['description']}".lower()
        return (
            sum(word in text for word in words)
            + 9 * (row["name"] in words)
            + 9 * ("asprin" in words and row["name"] == "aspirin")
        )

    def _kind(self, text: str, read_as: str) -> tuple[str, str | None]:
        if read_as != "auto":
            return read_as, None
        if "M  END" in text:
            return "molfile", "CCO"
        if any(text == row["smiles"] for row in molecules()):
            return "smiles", text
        return ("prose", None) if " " in text else ("name", None)

    def _hit(self, row: dict[str, Any], rank: int, words: list[str], kind: str) -> dict[str, Any]:
        score = max(0.97 - 0.09 * (rank - 1), 0.02)
        likely = ("unlikely", "possible", "likely", "very likely")[min(int(score * 4), 3)]
        text = f"{row['name']} {row['description']}".lower()
        return {
            "rank": rank,
            "score": score,
            "score_words": likely,
            "library": "catalogue",
            "also_in": [],
            "molecule": row,
            "matched": {
                "channels": ["meaning", "name"] if rank < 3 else ["meaning"],
                "words": [word for word in words if word in text],
                "linked": ["rosy"] if rank == 1 and kind == "prose" else [],
                "how": "same parent" if kind == "smiles" and rank == 2 else None,
                "similarity": score if kind == "smiles" else None,
                "parts": {"sentence": 0.6, "phrase": 0.5, "token": 0.4},
            },
        }


VERBS = (
    *("search", "suggest", "lookup", "molecule", "neighbours", "describe"),
    *("explain", "compare", "depict", "molfile", "export"),
)


def install(monkeypatch: Any) -> FakeDoor:
    """Put a fake door in front of the pages for one test."""
    from workers import inference, libraries

    door = FakeDoor(inference)
    for verb in VERBS:
        monkeypatch.setattr(inference, verb, getattr(door, verb))
    monkeypatch.setattr(libraries, "list_libraries", door.list_libraries)
    return door
