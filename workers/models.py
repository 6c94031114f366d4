"""The records: long work, the models it makes, the libraries that people bring."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q


class Job(models.Model):
    """One piece of long work. This row is the truth; the message broker only rings the bell.

    Whoever works on it holds a lease (``worker``, ``lease_until``) with a fencing ``token`` that grows by one at every
    claim: a write that carries an older token changes nothing.
    """

    class State(models.TextChoices):
        """Where a job stands."""

        QUEUED = "queued"
        RUNNING = "running"
        STOPPING = "stopping"
        DONE = "done"
        FAILED = "failed"
        STOPPED = "stopped"
        LOST = "lost"

    HELD = (State.RUNNING, State.STOPPING)
    OPEN = (State.QUEUED, *HELD)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    queue = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)

    worker = models.CharField(max_length=120, blank=True)
    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat = models.DateTimeField(null=True, blank=True)
    rung = models.DateTimeField(null=True, blank=True, help_text="When the bell was last rung for it.")

    progress = models.JSONField(default=dict, help_text="done, total and the latest metrics.")
    log_tail = models.TextField(blank=True, help_text="The last lines that the work said.")
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict)

    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        indexes = (models.Index(fields=("state", "lease_until"), name="job_state_lease"),)
        constraints = (
            models.CheckConstraint(
                condition=~Q(state__in=("running", "stopping")) | Q(lease_until__isnull=False),
                name="job_held_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=("done", "failed", "stopped", "lost")) | Q(finished__isnull=False),
                name="job_ended_has_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {str(self.id)[:8]} ({self.state})"

    @property
    def stream(self) -> str:
        """The name of its event stream."""
        return f"job/{self.id}"


class ModelVersion(models.Model):
    """One model folder. At most one version of an (area, slot) is active; the others stay for rolling back."""

    area = models.CharField(max_length=40)
    slot = models.CharField(max_length=60, blank=True)
    version = models.PositiveIntegerField()
    folder = models.CharField(max_length=500)
    hash = models.CharField(max_length=64, help_text="sha256 of the weights.")
    card = models.JSONField(default=dict)
    active = models.BooleanField(default=False)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="models")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("area", "slot", "-version")
        constraints = (
            models.UniqueConstraint(fields=("area", "slot", "version"), name="modelversion_unique"),
            models.UniqueConstraint(
                fields=("area", "slot"), condition=Q(active=True), name="modelversion_one_active"
            ),
        )

    def __str__(self) -> str:
        slot = f"/{self.slot}" if self.slot else ""
        return f"{self.area}{slot} v{self.version}{' (active)' if self.active else ''}"


class LibraryManager(models.Manager["Library"]):
    """Which libraries somebody may read."""

    def visible_to(self, user: Any) -> models.QuerySet[Library]:
        """Shared ones and the user's own; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self.all()
        shared = Q(visibility=Library.Visibility.SHARED)
        if user is not None and user.is_authenticated:
            return self.filter(shared | Q(owner=user))
        return self.filter(shared)


class Library(models.Model):
    """A library that somebody brought. Its molecules and vectors are files in ``folder``."""

    class State(models.TextChoices):
        """Whether it can be searched."""

        IMPORTING = "importing"
        READY = "ready"
        FAILED = "failed"

    class Visibility(models.TextChoices):
        """Who may read it."""

        PRIVATE = "private"
        SHARED = "shared"

    id = models.SlugField(primary_key=True, max_length=80)
    name = models.CharField(max_length=120)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="libraries"
    )
    visibility = models.CharField(max_length=10, choices=Visibility.choices, default=Visibility.PRIVATE)
    state = models.CharField(max_length=10, choices=State.choices, default=State.IMPORTING)
    size = models.PositiveIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, blank=True)
    model_hash = models.CharField(max_length=64, blank=True)
    report = models.JSONField(default=dict)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="libraries")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    objects = LibraryManager()

    class Meta:
        ordering = ("name", "id")
        verbose_name_plural = "libraries"

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return settings.FERRY_DATA / "libraries" / self.id


class Event(models.Model):
    """One entry of an append-only stream, for installations without Redis."""

    stream = models.CharField(max_length=120)
    seq = models.PositiveBigIntegerField()
    data = models.JSONField()
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("stream", "seq")
        constraints = (models.UniqueConstraint(fields=("stream", "seq"), name="event_unique"),)

    def __str__(self) -> str:
        return f"{self.stream} #{self.seq}"
