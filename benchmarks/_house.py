"""A whole Ferry as plain processes, for the drills to ill-treat: servers, broker, database, and what they work on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
HOUSES = ("embedded", "scaled")
PATIENCE = 900.0
#: short, so that a drill does not spend its time waiting for leases to run out
QUICK = {"FERRY_LEASE": "6", "FERRY_HEARTBEAT": "1", "FERRY_SWEEP": "1"}
ACIDS = ("CC", "CCC", "CC(C)", "c1ccccc1", "FC", "ClCC", "OCC", "C1CC1", "c1ccncc1", "CS", "N#CC", "COC")
CHAINS = tuple("C" * length for length in range(1, 13))
RINGS = tuple(
    ring for size in range(3, 9) for ring in ("C1" + "C" * (size - 2) + "C1", "C1" + "C" * (size - 3) + "OC1")
)

Pair = tuple[str, str]


class House:
    """``with House("scaled", folder) as house``: everything runs; at the end everything is gone."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder, self.scaled = folder, name == "scaled"
        self.victims = ("worker", "web", "redis") if self.scaled else ("worker", "web")
        self.port = _free_port()
        self._redis_port = _free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._imports = 0
        os.environ.update(QUICK)
        os.environ["FERRY_DATA"] = str(folder / "data")
        os.environ["FERRY_JOBS_PER_USER"] = "1000"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
        for unset in ("FERRY_URL", "FERRY_INFERENCE", "REDIS_URL", "DATABASE_URL"):
            os.environ.pop(unset, None)
        if self.scaled:
            os.environ["REDIS_URL"] = f"redis://127.0.0.1:{self._redis_port}/0"
            os.environ["DATABASE_URL"] = self._database()

    def __enter__(self) -> Self:
        if self.scaled:
            self._start_redis()
        self._start_web()
        self.ready()
        import django

        django.setup()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from django.db import connections

        connections.close_all()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            _kill_group(process)

    # -- work

    def bring(self, molecules: int) -> None:
        """Write the files that the jobs work on."""
        import numpy as np

        datasets = self.folder / "data" / "datasets"
        datasets.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(0)
        source = draw.normal(size=(2000, 2))
        np.savez(datasets / "clouds.npz", source=source, target=np.tanh(source) + draw.normal(size=(2000, 2)))
        chosen = [
            f"{acid}C(=O)N{amine}{ring}"
            for acid in ACIDS
            for amine in CHAINS
            for ring in ("", *RINGS, *(f"N{ring}" for ring in RINGS), *(f"CO{ring}" for ring in RINGS))
        ]
        lines = [f"{smiles} m{number}" for number, smiles in enumerate(chosen[:molecules])]
        (self.folder / "molecules.smi").write_text("\n".join(lines) + "\n")

    def begin(self, steps: int) -> Pair:
        """Submit a training and an import; their keys."""
        from django.core.files.uploadedfile import SimpleUploadedFile

        from workers import jobs, libraries

        self._imports += 1
        overrides = {"steps": steps, "checkpoint_minutes": 0.02, "every": 200}
        training = _patient(
            lambda: jobs.submit(
                "monge", {"data": {"clouds": "clouds.npz"}, "overrides": overrides}, self._owner()
            )
        )
        file = SimpleUploadedFile("molecules.smi", (self.folder / "molecules.smi").read_bytes())
        name = f"Drill {self._imports}"
        imported = _patient(lambda: libraries.import_upload(file, name, self._owner()))
        return str(training.pk), imported["id"]

    def states(self, pair: Pair) -> list[str]:
        """How both stand."""
        from workers.models import Job

        return _patient(lambda: [Job.objects.values_list("state", flat=True).get(pk=pk) for pk in pair])

    def ended(self, pair: Pair) -> bool:
        """Whether both have come to an end."""
        return all(state in ("done", "failed", "stopped", "lost") for state in self.states(pair))

    def wait(self, pair: Pair) -> None:
        """Until both have ended; raises TimeoutError when they do not."""
        until = time.monotonic() + PATIENCE
        while not self.ended(pair):
            if time.monotonic() > until:
                raise TimeoutError(f"the jobs stand at {self.states(pair)}")
            self.sleep(0.5)

    def artefacts(self, pair: Pair) -> dict[str, str]:
        """What tells two runs apart: hash of the trained weights, fingerprint and size of the library."""
        from workers.models import Library

        weights = self.folder / "data" / "jobs" / pair[0] / "model" / "model.safetensors"
        library = _patient(lambda: Library.objects.filter(job=pair[1]).first())
        return {
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else "none",
            "library": f"{library.size} {library.fingerprint}" if library is not None else "none",
        }

    def doubled(self, pair: Pair) -> int:
        """Versions and libraries beyond the one that each job makes."""
        from workers.models import Library, ModelVersion

        versions = _patient(lambda: ModelVersion.objects.filter(job=pair[0]).count())
        libraries = _patient(lambda: Library.objects.filter(name=f"Drill {self._imports}").count())
        return max(versions - 1, 0) + max(libraries - 1, 0)

    def count_jobs(self) -> int:
        """Rows of jobs."""
        from workers.models import Job

        return _patient(Job.objects.count)

    # -- violence

    def kill(self, victim: str, dice: random.Random) -> bool:
        """Send SIGKILL to a process of ``victim``; False when none runs."""
        if victim == "redis":
            self._processes["redis"].kill()
            self._processes["redis"].wait()
            self.sleep(dice.uniform(0.2, 3.0))
            self._start_redis()
            return True
        word = "granian" if victim == "web" else "workers.celery"
        found = [pid for pid in _below(self._processes["serve"].pid) if word in _command(pid)]
        if not found:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(found), signal.SIGKILL)
        return True

    def sleep(self, seconds: float) -> None:
        """Wait, and do what an init system does meanwhile: start the server again when it has ended."""
        until = time.monotonic() + seconds
        while True:
            if self._processes["serve"].poll() is not None:
                _kill_group(self._processes["serve"])
                self._start_web()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    # -- processes

    def ready(self) -> None:
        """Until the server would answer a search."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with (
                contextlib.suppress(OSError),
                urlopen(f"http://127.0.0.1:{self.port}/health/ready") as answer,
            ):
                if answer.status == 200:
                    return
            self.sleep(0.5)
        raise TimeoutError("the server does not get ready")

    def _start_web(self) -> None:
        log = (self.folder / "serve.log").open("ab")
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port)]
        self._processes["serve"] = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )

    def _start_redis(self) -> None:
        command = ["redis-server", "--port", str(self._redis_port), "--save", "", "--appendonly", "no"]
        self._processes["redis"] = subprocess.Popen(
            [*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL, start_new_session=True
        )

    def _database(self) -> str:
        """The address of an empty database on the test server."""
        import psycopg

        server = os.environ["FERRY_TEST_DATABASE_URL"]
        name = f"ferry_drill_{os.getpid()}"
        with psycopg.connect(server, autocommit=True) as link:
            link.execute(f"DROP DATABASE IF EXISTS {name}")
            link.execute(f"CREATE DATABASE {name}")
        return f"{server.rsplit('/', 1)[0]}/{name}"

    @staticmethod
    def _owner() -> Any:
        from django.contrib.auth import get_user_model

        people = get_user_model().objects
        known = people.filter(username="drill").first()
        return known or people.create_superuser("drill", password=os.urandom(12).hex())


def _patient(act: Any) -> Any:
    """Ask the database, again and again while it is busy with the dead."""
    from django.db import OperationalError, connection

    for _ in range(100):
        try:
            return act()
        except OperationalError:
            connection.close()
            time.sleep(0.2)
    return act()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _below(pid: int) -> list[int]:
    """The processes that descend from ``pid``, by the tree in /proc."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    for pid in (*_below(process.pid), process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
