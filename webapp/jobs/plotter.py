"""The child process that draws: Vega-Lite specifications in, SVG out, one JSON line each. Run as a file, on its own.

It imports nothing of Ferry. No specification may name an address: data come in the specification.
"""

from __future__ import annotations

import json
import select
import sys

IDLE_SECONDS = 300.0
MOST = 500  # drawings until it makes room for a successor: V8 gives memory back late


def main() -> None:
    """Answer every line until there is none for a while, or until the parent is gone."""
    import vl_convert

    for _ in range(MOST):
        if not select.select([sys.stdin.buffer], [], [], IDLE_SECONDS)[0]:
            return
        line = sys.stdin.buffer.readline()
        if not line:
            return
        try:
            svg = vl_convert.vegalite_to_svg(json.loads(line), allowed_base_urls=[])
            answer = {"svg": svg}
        except Exception as error:  # noqa: BLE001  whatever the library raises is told to the parent
            answer = {"error": str(error)[:2000]}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
