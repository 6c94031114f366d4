"""Where there is a GPU, a training runs on it, in a worker whose pool is safe with CUDA; elsewhere this is skipped."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workers import work

ROOT = Path(__file__).resolve().parents[2]

#: trains a small map as the `training` worker of serve does: a job, claimed in a thread of a worker process
TRAIN = """
import threading
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0, interactive=False)
import numpy as np
from django.conf import settings
from workers import jobs, work
from workers.models import Job
jobs.ring = lambda job: None
folder = settings.FERRY_DATA / "datasets"
folder.mkdir()
rng = np.random.default_rng(0)
np.savez(folder / "clouds.npz", source=rng.normal(size=(400, 2)), target=rng.normal(2, 1, size=(400, 2)))
from workers import kinds
preset = next(iter(kinds.find("monge").load_presets()))
job = jobs.submit("monge", {"data": {"source": "clouds.npz"}, "preset": preset})
thread = threading.Thread(target=work.perform, args=[str(job.pk)])
thread.start()
thread.join()
import torch
job.refresh_from_db()
print(job.error)
print(job.state, work.device(), torch.cuda.max_memory_allocated())
"""


def has_gpu() -> bool:
    """Whether PyTorch sees one."""
    import torch

    return torch.cuda.is_available()


def test_a_training_uses_the_gpu_and_ends_well(tmp_path):
    if not has_gpu():
        pytest.skip("there is no GPU here")
    clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "FERRY_DEVICE")}
    clean |= {"FERRY_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "webapp.settings"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state, device, memory = done.stdout.splitlines()[-1].split()
    assert (state, device) == ("done", "cuda"), done.stdout
    assert int(memory) > 0


def test_a_forked_worker_never_touches_cuda(monkeypatch, settings):
    """After a fork CUDA cannot be used: such a worker trains on the processor, whatever the machine has."""
    settings.FERRY_DEVICE = "auto"
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert work.device() == "cuda"
    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(name="ForkPoolWorker-1"))
    assert work.device() == "cpu"


def test_the_worker_that_serve_starts_for_training_has_a_pool_that_is_safe():
    from workers.celery import QUEUES
    from workers.management.commands.serve import POOLS, worker_command

    assert set(POOLS) == set(QUEUES)
    words = worker_command("training")
    assert words[words.index("--pool") + 1] in ("threads", "solo")
    assert words[words.index("--queues") + 1] == "training"
