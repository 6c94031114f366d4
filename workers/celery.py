"""Celery as a doorbell: JSON only, three queues, nothing kept in the broker that the ``Job`` row does not know."""

from __future__ import annotations

import os
import warnings
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from django.conf import settings

QUEUES = ("inference", "training", "indexing")

app = Celery("ferry")

# Celery warns root because of pickle, which is not accepted here.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")


def _broker() -> dict[str, Any]:
    """Redis where there is one, otherwise a folder."""
    if settings.REDIS_URL:
        return {
            "broker_url": settings.REDIS_URL,
            "broker_connection_retry_on_startup": True,
            "broker_transport_options": {"visibility_timeout": 3600, "socket_timeout": 10},
        }
    folder = settings.FERRY_DATA / "broker"
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://localhost/",
        "broker_transport_options": {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "store_processed": False,
            "polling_interval": 0.25,  # seconds; a small file is checked while its page waits
        },
    }


app.conf.update(
    **_broker(),
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    imports=("workers.tasks.bells", "workers.tasks.answers", "workers.tasks.notices"),
    task_default_queue="indexing",
    task_create_missing_queues=True,
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    enable_utc=True,
)


@worker_ready.connect
def _begin(**_: Any) -> None:
    from workers import engine, language_models, sweeper

    queues = tuple(app.amqp.queues.consume_from)
    sweeper.start(queues)
    if settings.FERRY_INFERENCE == "queue" and "inference" in queues:
        language_models.warm_after(engine.shared().warm_in_background())


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    from workers import sweeper

    sweeper.stop()
