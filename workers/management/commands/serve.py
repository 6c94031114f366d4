"""Start everything on one machine: the web server and the workers beside it."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers import catalogue, migrating, registry, serving
from workers.errors import BadInput, Busy, NotFound
from workers.supervisor import Child, Supervisor

log = logging.getLogger(__name__)

#: How the worker of each queue runs: a process of its own each, so that nothing waits behind a training. Training runs
#: in a thread, because CUDA does not survive a fork; imports in children, two at a time, so that a check need not wait;
#: the threads that answer share one model.
POOLS = {
    "training": ("--pool", "threads", "--concurrency", "1"),
    "indexing": ("--pool", "prefork", "--concurrency", "2"),
    "inference": ("--pool", "threads", "--concurrency", "4"),
}


#: threads of a computation that wait for each other sleep, so that a training and the searches share the cores
PATIENT = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}


class Command(BaseCommand):
    """Migrate, check that a model is there, collect static files, then run web server and worker until told to stop."""

    help = "Start Ferry: web server and worker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
        )
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--processes", type=int, default=1, help="web processes; each holds the model (default: 1)"
        )
        parser.add_argument(
            "--no-worker", action="store_true", help="the web server alone, as in a container"
        )

    def handle(
        self, *args: Any, host: str, port: int, processes: int, no_worker: bool, **options: Any
    ) -> None:
        """Do it. Raises CommandError, with the remedy, when something that is needed is missing."""
        _check_port(host, port)
        try:
            with serving.together():
                migrating.migrate(self.stdout.write)
                self._model()
                collect_static()
                self._say(host, port)
                children = [Child("the web server", web_command(host, port, processes), answering())]
                if not no_worker:
                    children += [
                        Child(
                            f"the worker for {queue}",
                            worker_command(queue),
                            answering() if queue == "inference" else PATIENT,
                            essential=False,
                        )
                        for queue in POOLS
                        if queue != "inference" or settings.FERRY_INFERENCE == "queue"
                    ]
                ended = Supervisor(children).run()
        except Busy as error:
            raise CommandError(str(error)) from None
        sys.exit(ended)

    def _model(self) -> None:
        """Check the model's card, and build the catalogue where it is missing."""
        folder = registry.active("retrieval").folder
        if settings.FERRY_INFERENCE == "queue":
            return
        try:
            card = registry.read_card(folder)
        except NotFound as error:
            raise CommandError(
                f"There is no retrieval model: {error} Set FERRY_MODELS to the folder that holds 'retrieval', or "
                "train one: python -m mlcore train retrieval --help"
            ) from None
        self.stdout.write(f"model      {folder} ({str(card.get('sha256', ''))[:12]})")
        if catalogue.missing(folder):
            self.stdout.write("catalogue  is being built; this happens once")
            try:
                catalogue.build(folder, out=catalogue.folder_of(folder))
            except (BadInput, Busy) as error:
                raise CommandError(f"The catalogue cannot be built: {error}") from None

    def _say(self, host: str, port: int) -> None:
        """What holds now, in a few lines."""
        database = settings.DATABASES["default"]
        engine = database["ENGINE"].rsplit(".", 1)[-1]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound
        for name, value in (
            ("data", settings.FERRY_DATA),
            ("database", f"{engine} {database['NAME']}"),
            ("jobs", "Redis" if settings.REDIS_URL else "a folder (no REDIS_URL)"),
            ("answers to", ", ".join(settings.ALLOWED_HOSTS)),
            ("open", settings.FERRY_URL.split(",")[0] or f"http://{shown}:{port}/"),
        ):
            self.stdout.write(f"{name:<10} {value}")
        for entry in settings.FERRY_EFFECTIVE:
            if entry.origin != "default":
                self.stdout.write(f"{'set':<10} {entry.name}={entry.value} (from the {entry.origin})")
        self.stdout.flush()


def web_command(host: str, port: int, processes: int) -> list[str]:
    """The command line of the web server."""
    options = (
        f"--interface asginl --host {host} --port {port} --workers {processes} --workers-kill-timeout 10 "
        "--respawn-failed-workers --backpressure 512 --no-ws --log-level warning"
    )
    return [sys.executable, "-m", "granian", *options.split(), "webapp.asgi:application"]


def answering() -> dict[str, str]:
    """Environment of a process that answers: one search takes ``FERRY_THREADS`` threads of its libraries, not all.

    Searches run beside each other anyway; threads of a matrix product that wait for each other only slow them down.
    """
    threads = os.environ.get("OMP_NUM_THREADS", str(settings.FERRY_THREADS))
    return {**PATIENT, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}


def worker_command(queue: str) -> list[str]:
    """The command line of the worker of a queue."""
    options = "--loglevel WARNING --without-mingle --without-gossip --without-heartbeat"
    words = ["--app", "workers.celery", "worker", "--queues", queue, *POOLS[queue], *options.split()]
    return [sys.executable, "-m", "celery", "--quiet", *words]


def collect_static() -> bool:
    """Copy static files under hashed names unless nothing has changed since; whether it was done."""
    lines = []
    for finder in get_finders():
        for path, storage in finder.list([]):
            facts = Path(storage.path(path)).stat()
            lines.append(f"{path} {facts.st_size} {facts.st_mtime_ns}")
    seen, stamp = "\n".join(sorted(lines)), settings.STATIC_ROOT / ".collected"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == seen:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(seen, encoding="utf-8")
    return True


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used: {os.strerror(error.errno or 0)}. "
                f"Choose another: make serve PORT={port + 1}"
            ) from None
