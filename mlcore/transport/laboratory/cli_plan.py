"""``python -m mlcore transport plan --source A --target B``: the plan between two weighted clouds in files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory.clouds import COMMAND_LINE
from mlcore.transport.laboratory.grounds import ALIASES, GROUNDS
from mlcore.transport.laboratory.parameters import Parameter
from mlcore.transport.laboratory.planfiles import archive, plan_arrays, plan_of, table
from mlcore.transport.laboratory.report import Solved, answer
from mlcore.transport.laboratory.samples import SAMPLES
from mlcore.transport.laboratory.solvers import SOLVERS
from mlcore.transport.laboratory.solving import DEVICES, LabRequest, prepare
from mlcore.transport.laboratory.solving import run as solve_prepared

ENDINGS = (".npz", ".npy", ".csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``transport plan``."""
    add_problem(parser)
    parser.add_argument("--solver", default="sinkhorn", choices=list(SOLVERS), help="default: sinkhorn")
    known: dict[str, list[Parameter]] = {}
    for solver in SOLVERS.values():
        for parameter in solver.parameters:
            known.setdefault(parameter.name, []).append(parameter)
    for name, parameters in known.items():
        solvers = [each.name for each in SOLVERS.values() if any(one.name == name for one in each.parameters)]
        add_parameter(parser, parameters[0], f"for {', '.join(solvers)}")


def add_problem(parser: argparse.ArgumentParser) -> None:
    """The options that every way to solve shares: clouds, cost, device, what to write."""
    clouds = f"a .npy, .npz or .csv of points, or a sampled cloud as NAME:POINTS:SEED[:DX:DY] ({', '.join(SAMPLES)})"
    parser.add_argument("--source", required=True, metavar="FILE", help=clouds)
    parser.add_argument("--target", required=True, metavar="FILE", help="likewise")
    parser.add_argument(
        "--cost", default="squared_euclidean", choices=[*GROUNDS, *ALIASES], help="default: squared_euclidean"
    )
    for ground in GROUNDS.values():
        for parameter in ground.parameters:
            add_parameter(parser, parameter, f"for the cost {ground.name}", prefix="cost-")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="default: auto, by size")
    parser.add_argument("--out", metavar="FILE", help="write the plan: .npz (with potentials), .npy or .csv")
    parser.add_argument("--check", action="store_true", help="solve with another library too and compare")
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")


def add_parameter(parser: argparse.ArgumentParser, parameter: Parameter, note: str, prefix: str = "") -> None:
    """One option for one parameter; what is not given keeps the default of the solver."""
    names = "|".join(parameter.choices)
    shown = names or {"number": "NUMBER", "whole": "COUNT", "yes": "yes|no"}[parameter.kind]
    words = f"{parameter.words} ({note})".replace("%", "%%")
    parser.add_argument(f"--{prefix}{parameter.name.replace('_', '-')}", metavar=shown, help=words)


def run_solver(arguments: argparse.Namespace, solver: str) -> int:
    """Solve with ``solver``, print and write; 0, or 1 where the solver did not converge, or 2 for unusable input."""
    try:
        out = _out(arguments.out)
        request = LabRequest(
            source=cloud_spec(arguments.source),
            target=cloud_spec(arguments.target),
            cost=arguments.cost,
            cost_parameters=_given(
                arguments, GROUNDS[ALIASES.get(arguments.cost, arguments.cost)].parameters, "cost_"
            ),
            solver=solver,
            parameters=_given(arguments, SOLVERS[solver].parameters),
            device=arguments.device,
            limits=COMMAND_LINE,
        )
        solved = solve_prepared(prepare(request), request.limits)
        found = answer(solved, links=0, cells=1, check=arguments.check)
        if out is not None:
            write(solved, out)
    except InputError as fault:
        place = f" ({fault.place})" if fault.place else ""
        sys.stderr.write(f"mlcore: {fault.message}{place}. {fault.remedy or ''}".rstrip() + "\n")
        return 2
    if arguments.json:
        sys.stdout.write(json.dumps(summary(found, solved, out), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(in_lines(found, solved, out))
    return 0 if found["status"]["converged"] else 1


def run(arguments: argparse.Namespace) -> int:
    """``transport plan``."""
    return run_solver(arguments, arguments.solver)


def cloud_spec(text: str) -> dict[str, Any]:
    """A cloud from a path or ``NAME:POINTS:SEED``.

    Raises:
        InputError: no such file and no such sampled cloud.
    """
    name, *rest = text.split(":")
    if name in SAMPLES and not Path(text).exists():
        try:
            n = int(rest[0]) if rest else 100
            seed = int(rest[1]) if len(rest) > 1 else 0
            shift = [float(value) for value in rest[2:]] or [0.0, 0.0]
        except ValueError:
            raise InputError(
                f"'{text[:60]}' is no sampled cloud",
                remedy="Write it as NAME:POINTS:SEED, for example ring:100:1, or NAME:POINTS:SEED:DX:DY to move it.",
            ) from None
        return {"sample": name, "n": n, "seed": seed, "shift": shift}
    try:
        return {"file": {"name": Path(text).name, "content": Path(text).read_bytes()}}
    except OSError as error:
        raise InputError(
            f"the file {text} cannot be read: {error.strerror}", remedy="Check the path."
        ) from None


def write(solved: Solved, path: Path) -> None:
    """The plan in the format that the ending of ``path`` names."""
    import numpy as np

    if path.suffix == ".npy":
        np.save(path, plan_of(solved), allow_pickle=False)
    else:
        path.write_bytes(table(solved) if path.suffix == ".csv" else archive(**plan_arrays(solved)))


def _out(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    if path.suffix not in ENDINGS:
        raise InputError(
            f"a plan cannot be written as '{path.name}'", remedy=f"End the name in {', '.join(ENDINGS)}."
        )
    if not path.resolve().parent.is_dir():
        raise InputError(f"there is no folder {path.resolve().parent}", remedy="Make it first.")
    return path


def _given(
    arguments: argparse.Namespace, parameters: tuple[Parameter, ...], prefix: str = ""
) -> dict[str, Any]:
    found = {each.name: getattr(arguments, prefix + each.name, None) for each in parameters}
    return {name: value for name, value in found.items() if value is not None}


def summary(found: dict[str, Any], solved: Solved, out: Path | None) -> dict[str, Any]:
    """The answer as flat JSON values."""
    return {
        "solver": found["solver"]["name"],
        "parameters": found["solver"]["parameters"],
        "cost_name": solved.prepared.ground.name,
        "rows": len(solved.prepared.source),
        "columns": len(solved.prepared.target),
        "converged": found["status"]["converged"],
        "status": found["status"]["name"],
        **found["numbers"],
        "regulariser": found["solver"]["regulariser"],
        "device": found["device"],
        "check": found["check"],
        "out": None if out is None else str(out),
    }


def in_lines(found: dict[str, Any], solved: Solved, out: Path | None) -> str:
    """The answer for people."""
    prepared = solved.prepared
    lines = [
        f"{len(prepared.source):,} points to {len(prepared.target):,} points, {prepared.ground.label} cost",
        f"{found['solver']['label']}: {found['solver']['objective']}",
        found["status"]["sentence"],
    ]
    if found["status"]["remedy"]:
        lines.append(found["status"]["remedy"])
    for name, value in found["numbers"].items():
        if value is not None:
            unit = found["quantities"][name]["unit"]
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
            lines.append(f"  {found['quantities'][name]['label']:<26}{shown} {unit}".rstrip())
    check = found["check"]
    if check:
        verdict = {True: "agrees", False: "DIFFERS", None: "no verdict"}[check["agrees"]]
        lines.append(f"  {check['library']}, {check['call']}: {verdict}. {check['note']}".rstrip())
    if out is not None:
        lines.append(f"written to {out}")
    return "\n".join(lines) + "\n"
