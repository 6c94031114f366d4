"""The records: long work, the models it makes, the libraries that people bring."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


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
    RESUMABLE = (State.FAILED, State.STOPPED, State.LOST)
    #: what may follow what; the database refuses anything else (see workers.guards)
    TRANSITIONS = {
        State.QUEUED: (State.RUNNING, State.STOPPED),
        State.RUNNING: (State.STOPPING, State.DONE, State.FAILED, State.STOPPED, State.QUEUED, State.LOST),
        State.STOPPING: (State.DONE, State.FAILED, State.STOPPED),
        State.FAILED: (State.QUEUED,),
        State.STOPPED: (State.QUEUED,),
        State.LOST: (State.QUEUED,),
        State.DONE: (),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=120, blank=True, help_text="What people call it.")
    queue = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    key = models.CharField(
        max_length=80, blank=True, editable=False, help_text="The sender's own: sent twice, made once."
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        help_text="The job that it repeats with changes, or that asked for it.",
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    ended_by = models.CharField(
        max_length=150, blank=True, help_text="Who asked for the stop: an account, or the watchdog."
    )

    worker = models.CharField(max_length=120, blank=True)
    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat = models.DateTimeField(null=True, blank=True)
    rung = models.DateTimeField(null=True, blank=True, help_text="When the bell was last rung for it.")
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="After a fault that passes: when it is tried again."
    )

    progress = models.JSONField(default=dict, help_text="done, total, rate, seconds and the latest metrics.")
    log_tail = models.TextField(blank=True, help_text="The last lines that the work said.")
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict)

    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        indexes = (
            models.Index(fields=("state", "lease_until"), name="job_state_lease"),
            models.Index(fields=("-created",), name="job_latest"),
        )
        constraints = (
            models.UniqueConstraint(fields=("owner", "key"), condition=~Q(key=""), name="job_key_once"),
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
        return f"{self.name or self.kind} {str(self.id)[:8]} ({self.state})"

    @property
    def stream(self) -> str:
        """The name of its event stream."""
        return f"job/{self.id}"

    @property
    def silent(self) -> bool:
        """Whether somebody holds it who has given no sign of life for longer than a lease."""
        return self.state in self.HELD and self.lease_until is not None and self.lease_until < timezone.now()


class Point(models.Model):
    """What a job measured at one step. Thinned out as it grows, see :mod:`workers.history`."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="points")
    attempt = models.PositiveIntegerField(help_text="Which claim of the job measured it; a change is a gap.")
    step = models.BigIntegerField()
    seconds = models.FloatField(help_text="Of work so far, all attempts together.")
    epoch = models.FloatField(null=True, blank=True)
    values = models.JSONField(help_text="Name and value of each metric.")

    class Meta:
        ordering = ("job", "step")
        constraints = (models.UniqueConstraint(fields=("job", "step"), name="point_unique"),)

    def __str__(self) -> str:
        return f"{self.job_id} step {self.step}"


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
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        help_text="The version that it was made from.",
    )
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
        return f"{self.place} v{self.version}{' (active)' if self.active else ''}"

    @property
    def place(self) -> str:
        """Area and slot as one word."""
        return f"{self.area}/{self.slot}" if self.slot else self.area


class Evaluation(models.Model):
    """What a version scored on named data; a promotion rests on one."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="evaluations")
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="evaluations")
    metrics = models.JSONField(help_text="Name and value of each figure.")
    data = models.JSONField(help_text="Name, sha256 and rows of each file.")
    command = models.TextField(blank=True, help_text="What measures the same again.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created", "-id")

    def __str__(self) -> str:
        return f"evaluation {self.pk} of {self.version}"


class Promotion(models.Model):
    """One change of what answers for an (area, slot). Rows are only ever added; names are copied, not referred to."""

    area = models.CharField(max_length=40)
    slot = models.CharField(max_length=60, blank=True)
    before = models.PositiveIntegerField(help_text="Version number; 0 is the model that ships with Ferry.")
    before_hash = models.CharField(max_length=64, blank=True)
    after = models.PositiveIntegerField()
    after_hash = models.CharField(max_length=64, blank=True)
    who = models.CharField(max_length=150)
    why = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict, help_text="The evaluation that it rests on, as it was then.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created", "-id")

    def __str__(self) -> str:
        return (
            f"{self.area}{'/' + self.slot if self.slot else ''} v{self.before} → v{self.after} by {self.who}"
        )


class AuditEntry(models.Model):
    """Who did what. Rows are only ever added."""

    who = models.CharField(max_length=150)
    verb = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created", "-id")
        verbose_name_plural = "audit trail"

    def __str__(self) -> str:
        return f"{self.who} {self.verb} {self.subject}"


class Worker(models.Model):
    """A worker process that has given a sign of life."""

    name = models.CharField(max_length=120, unique=True, help_text="host:process number")
    queues = models.JSONField(default=list)
    facts = models.JSONField(default=dict, help_text="Versions and device.")
    started = models.DateTimeField()
    seen = models.DateTimeField()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


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
