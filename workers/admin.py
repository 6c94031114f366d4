"""Jobs, model versions and libraries in the admin, with the actions that an operator needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from workers import audit, board, datasets, jobs, kinds, libraries, registry, removal
from workers.errors import BadInput, Busy, NotFound
from workers.models import AuditEntry, Evaluation, Job, Library, ModelVersion, Promotion, Worker


class JobForm(forms.ModelForm):
    """A new job: its kind and what it needs. The page of jobs has a form for each kind; this one takes JSON."""

    kind = forms.ChoiceField(choices=[])
    parameters = forms.JSONField(
        initial={"data": {"train": datasets.SHIPPED}, "preset": "small"},
        help_text="For a training: data (name and data set), preset, overrides.",
    )

    class Meta:
        model = Job
        fields = ("kind", "name", "parameters")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(kind.name, kind.title) for kind in kinds.offered()]

    def clean(self) -> dict[str, Any]:
        """Refuse parameters that the kind does not take, before anything is stored."""
        values = super().clean() or {}
        try:
            kinds.find(values.get("kind", "")).read(values.get("parameters") or {})
        except BadInput as error:
            raise forms.ValidationError(str(error)) from None
        return values


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """Start by adding; stop, resume and clone by action."""

    list_display = (
        "short",
        "kind",
        "name",
        "standing",
        "progress_shown",
        "owner",
        "worker",
        "created",
        "finished",
    )
    list_filter = ("state", "kind", "queue")
    search_fields = ("id", "name", "owner__username")
    actions = ("stop", "resume", "clone", "remove")
    list_select_related = ("owner",)

    def get_form(
        self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Only a new job has a form; one that is there is read."""
        if obj is None:
            kwargs["form"] = JobForm
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> tuple[str, ...]:
        """The row is the truth: nobody edits it by hand."""
        return () if obj is None else tuple(field.name for field in Job._meta.fields)

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Submit instead of saving, so that the bell is rung."""
        if change:
            return
        try:
            made = jobs.submit(obj.kind, obj.parameters, owner=request.user, name=obj.name)
        except (BadInput, Busy) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        obj.pk, obj.queue, obj.owner, obj.created = made.pk, made.queue, made.owner, made.created

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Files go with the row: by the action, not by Django's own."""
        return False

    @admin.display(description="job")
    def short(self, job: Job) -> str:
        """The beginning of its key."""
        return str(job.pk)[:8]

    @admin.display(description="stands")
    def standing(self, job: Job) -> str:
        """In words, "lost contact" among them."""
        return board.standing(job)

    @admin.display(description="progress")
    def progress_shown(self, job: Job) -> str:
        """``done of total``."""
        done, total = job.progress.get("done", 0), job.progress.get("total")
        return f"{done:,} of {total:,}" if total else f"{done:,}"

    @admin.action(description="Stop", permissions=["change"])
    def stop(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """Ask each to stop at its next step."""
        for job in chosen:
            jobs.stop(job, by=request.user.get_username())
            audit.record(request.user, "stop", f"job/{job.pk}")
        self.message_user(request, "Asked to stop; what runs ends at its next step, saved.")

    @admin.action(description="Resume (or try again)", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """Queue each ended one again; it goes on from its last checkpoint."""
        queued = 0
        for job in chosen:
            if jobs.resume(job).state == Job.State.QUEUED:
                audit.record(request.user, "resume", f"job/{job.pk}")
                queued += 1
        self.message_user(request, f"{queued} queued again.")

    @admin.action(description="Start again as a new job", permissions=["add"])
    def clone(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """A new job with the same parameters, from the beginning."""
        for job in chosen:
            try:
                jobs.clone(job, {}, request.user)
            except (BadInput, Busy) as error:
                self.message_user(request, str(error), messages.ERROR)

    @admin.action(description="Delete with files", permissions=["change"])
    def remove(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """Row, curves and folder together."""
        for job in chosen:
            try:
                freed = removal.delete_job(job, request.user)
            except BadInput as error:
                self.message_user(request, f"{job}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"Deleted; {freed / 1e6:,.1f} MB freed.")


class WhyForm(ActionForm):
    """The reason that a change of what answers asks for."""

    why = forms.CharField(required=False, max_length=500, label="Why")


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    """Promote a version on its latest evaluation, roll back, or go back to the shipped model."""

    list_display = ("area", "slot", "version", "active", "hash", "created", "job")
    list_filter = ("area", "active")
    actions = ("promote", "roll_back", "retire", "remove")
    action_form = WhyForm
    readonly_fields = tuple(field.name for field in ModelVersion._meta.fields)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Versions come from training jobs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelVersion | None = None) -> bool:
        """Files go with the row: by the action, not by Django's own."""
        return False

    @admin.action(description="Promote, on its latest evaluation", permissions=["change"])
    def promote(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Make one version the active one."""
        if len(chosen) != 1:
            self.message_user(request, "Choose exactly one version.", messages.ERROR)
            return
        version = chosen[0]
        self._try(
            request, lambda why: registry.promote(version, request.user, why, version.evaluations.first())
        )

    @admin.action(description="Roll back to what answered before", permissions=["change"])
    def roll_back(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Undo the last change of each area and slot that is chosen."""
        for area, slot in {(version.area, version.slot) for version in chosen}:
            self._try(request, partial(registry.roll_back, area, slot, request.user))

    @admin.action(description="Go back to the shipped model", permissions=["change"])
    def retire(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Deactivate the area and slot of the chosen versions."""
        for area, slot in {(version.area, version.slot) for version in chosen}:
            self._try(request, partial(registry.retire, area, slot, request.user))

    @admin.action(description="Delete with files", permissions=["change"])
    def remove(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Row and files together."""
        for version in chosen:
            try:
                freed = removal.delete_version(version, request.user)
            except BadInput as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, f"Deleted; {freed / 1e6:,.1f} MB freed.")

    def _try(self, request: HttpRequest, change: Callable[[str], Promotion]) -> None:
        try:
            made = change(request.POST.get("why", ""))
        except (BadInput, NotFound) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, f"{made}. Libraries of another model have to be rebuilt.")


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that people only look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """What answered when, and who decided it."""

    list_display = ("created", "area", "slot", "before", "after", "who", "why")
    list_filter = ("area", "slot")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ("created", "who", "verb", "subject")
    list_filter = ("verb",)
    search_fields = ("who", "subject")


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    """What versions scored."""

    list_display = ("created", "version", "metrics")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """The worker processes that have signed."""

    list_display = ("name", "queues", "started", "seen")


@admin.register(Library)
class LibraryAdmin(admin.ModelAdmin):
    """Share or unshare a library; delete it with its files."""

    list_display = ("name", "id", "owner", "visibility", "state", "size", "updated")
    list_filter = ("state", "visibility")
    search_fields = ("name", "id", "owner__username")
    list_select_related = ("owner",)
    fields = (
        "name",
        "visibility",
        "id",
        "owner",
        "state",
        "size",
        "fingerprint",
        "model_hash",
        "report",
        "job",
    )
    readonly_fields = ("id", "owner", "state", "size", "fingerprint", "model_hash", "report", "job")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Libraries come from imports."""
        return False

    def delete_model(self, request: HttpRequest, obj: Library) -> None:
        """Delete the files too."""
        libraries.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Library]) -> None:
        """Delete the files of each."""
        for library in queryset:
            libraries.remove(library)
