"""``python -m mlcore transport sparse --source A --target B -k K``: a plan with at most K links a row or column."""

from __future__ import annotations

import argparse

from mlcore.transport.laboratory.cli_plan import add_parameter, add_problem, run_solver
from mlcore.transport.laboratory.solvers import SOLVERS

SOLVER = "sparse"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``transport sparse``."""
    add_problem(parser)
    for parameter in SOLVERS[SOLVER].parameters:
        if parameter.name == "k":
            parser.add_argument(
                "-k", "--k", metavar="COUNT", help=f"{parameter.words} (default: {parameter.default})"
            )
        else:
            add_parameter(parser, parameter, f"default: {parameter.default}")


def run(arguments: argparse.Namespace) -> int:
    """``transport sparse``: the exit status is 1 where no feasible plan with so few links was found."""
    return run_solver(arguments, SOLVER)
