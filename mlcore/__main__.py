"""The command line of the science: ``python -m mlcore <train|evaluate|calibrate|index|rebuild|search|transport> …``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from mlcore.runtime.errors import InputError, LibraryError, ModelError

#: command -> module with ``add_arguments`` and ``run``; a dictionary is a further choice
COMMANDS: dict[str, str | dict[str, str]] = {
    "train": {
        "retrieval": "mlcore.retrieval.cli_train",
        "monge": "mlcore.transport.maps.cli_train",
        "lm": "mlcore.decoding.language.cli_train",
        "filtered": "mlcore.decoding.language.cli_filtered",
    },
    "evaluate": {
        "retrieval": "mlcore.retrieval.cli_evaluate",
        "monge": "mlcore.transport.maps.cli_evaluate",
        "lm": "mlcore.decoding.language.cli_evaluate",
    },
    "calibrate": {"retrieval": "mlcore.retrieval.cli_calibrate"},
    "index": "mlcore.retrieval.cli_index",
    "rebuild": "mlcore.cli_rebuild",
    "search": "mlcore.retrieval.cli_search",
    "generate": "mlcore.decoding.serving.cli_generate",
    "transport": {
        "plan": "mlcore.transport.laboratory.cli_plan",
        "sparse": "mlcore.transport.laboratory.cli_sparse",
        "monge": "mlcore.transport.maps.cli_apply",
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m mlcore", description=__doc__)
    parser.add_argument("command", choices=list(COMMANDS))
    module, used = "", 0
    if arguments and isinstance(COMMANDS.get(arguments[0]), dict):
        areas = COMMANDS[arguments[0]]
        parser.add_argument("area", choices=list(areas))
        if len(arguments) > 1 and arguments[1] in areas:
            module, used = areas[arguments[1]], 2  # type: ignore[index]
    elif arguments and arguments[0] in COMMANDS:
        module, used = str(COMMANDS[arguments[0]]), 1
    if not module:
        parser.parse_args(arguments)
        parser.error("say what to do")
    command = importlib.import_module(module)
    inner = argparse.ArgumentParser(
        prog=f"python -m mlcore {' '.join(arguments[:used])}", description=command.__doc__
    )
    command.add_arguments(inner)
    try:
        return int(command.run(inner.parse_args(arguments[used:])))
    except (InputError, ModelError, LibraryError) as fault:
        print(f"mlcore: {fault}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
