"""The program that a sandbox child runs: read a call, run it, answer; nothing else.

Started as ``python -m mlcore.runtime.sandbox_child MEMORY_BYTES PRELOAD``. A call names a function as
``package.module:function`` (only inside the packages of :data:`ALLOWED`), its JSON arguments and a time
limit. A called function takes keyword arguments (``blob`` among them when bytes were sent) and returns
something that JSON can carry, or a pair of that and bytes.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO

from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox_wire import PREFIX, pack, sizes, unpack

#: only functions of modules below these may be called
ALLOWED = ("mlcore.retrieval.inside.", "mlcore.runtime.sandbox_probe")


@cache
def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if not module.startswith(ALLOWED) or function.startswith("_"):
        raise ValueError(f"{name} may not be called in the sandbox")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _answer(call: dict[str, Any], blob: bytes) -> bytes:
    """Run one call and pack its result, or the fault in words."""
    arguments = dict(call["arguments"])
    if blob:
        arguments["blob"] = blob
    # The default action of the alarm ends this process, compiled code or not: no child outlives its limit by
    # much.
    signal.setitimer(signal.ITIMER_REAL, float(call["seconds"]) + 1.0)
    try:
        result = _function(call["function"])(**arguments)
    except InputError as fault:
        kind = "limit" if isinstance(fault, LimitError) else "input"
        return pack(
            {
                "fault": kind,
                "message": fault.message,
                "field": fault.field,
                "place": fault.place,
                "remedy": fault.remedy,
            }
        )
    except MemoryError:
        return pack({"fault": "memory"})
    except Exception as fault:  # noqa: BLE001 - a child must answer whatever happens; the parent raises it with its words
        return pack({"fault": "error", "message": f"{type(fault).__name__}: {fault}"})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    value, data = result if isinstance(result, tuple) else (result, b"")
    return pack({"value": value}, data)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer calls from ``source`` on ``sink`` until the parent closes its end."""
    while len(prefix := source.read(PREFIX.size)) == PREFIX.size:
        header, blob = sizes(prefix)
        call, data = unpack(source.read(header + blob), header)
        sink.write(_answer(call, data))
        sink.flush()


def main(memory: int, preload: str) -> None:
    """Take over the standard streams, limit the memory, load ``preload``, then serve."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # whatever compiled code prints must not reach the messages
        os.dup2(nothing, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    for module in filter(None, preload.split(",")):
        importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sink.write(pack({"value": "ready"}))
    sink.flush()
    serve(source, sink)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
