"""Remake what a promoted model made stale. Which model is in use is the server's to know: this asks its manage.py."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from mlcore.runtime.errors import InputError

HOME = Path(__file__).resolve().parent.parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything is handed over as it is."""
    parser.add_argument("--area", help="only what rests on models of this area (retrieval)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be begun")
    parser.add_argument("--wait", action="store_true", help="show progress until all have ended")


def run(options: argparse.Namespace) -> int:
    """Start ``manage.py rebuild`` beside this package; its exit status. Raises InputError where there is none."""
    manage = HOME / "manage.py"
    if not manage.is_file():
        raise InputError(
            f"There is no manage.py beside {HOME / 'mlcore'}: libraries are kept by a Ferry server, and this is "
            "the science alone.",
            remedy="Run it in the checkout that serves, or make a library anew with: python -m mlcore index",
        )
    words = ["--area", options.area] if options.area else []
    words += ["--dry-run"] * options.dry_run + ["--wait"] * options.wait
    return subprocess.run([sys.executable, str(manage), "rebuild", *words], check=False).returncode
