"""A made-up training table: fatty acids, alcohols and amines of all lengths, described by rule."""

from __future__ import annotations

from pathlib import Path

_ENDS = {"O": "alcohol", "N": "amine", "C(=O)O": "acid", "Cl": "chloride", "C#N": "nitrile", "S": "thiol"}
_STARTS = {"": "plain", "c1ccccc1": "phenyl", "C1CCCCC1": "cyclohexyl", "C=C": "vinyl", "CC(C)": "isopropyl"}


def write(path: Path, longest: int = 9) -> Path:
    lines = ["id\tSMILES\tdescription"]
    for start, start_name in _STARTS.items():
        for end, end_name in _ENDS.items():
            for length in range(1, longest + 1):
                text = f"The molecule is a {start_name} {end_name}. It has a chain of {length} carbons."
                lines.append(f"{len(lines)}\t{start}{'C' * length}{end}\t{text}")
    path.write_text("\n".join(lines) + "\n")
    return path
