"""Jobs, model versions and libraries in the admin, with the actions that an operator needs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from workers import jobs, kinds, libraries, registry
from workers.errors import BadInput, Busy
from workers.models import Job, Library, ModelVersion


class JobForm(forms.ModelForm):
    """A new job: its kind and what it needs."""

    kind = forms.ChoiceField(choices=[(name, name) for name in kinds.KINDS])
    parameters = forms.JSONField(
        initial={"data": {"train": "/path/to/train.tsv.gz"}, "preset": "small"},
        help_text="For 'retrieval': data (name and path), preset (cpu, small, gpu), overrides.",
    )

    class Meta:
        model = Job
        fields = ("kind", "parameters")

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
    """Start by adding; stop and retry by action."""

    list_display = (
        "id",
        "kind",
        "state",
        "progress_shown",
        "owner",
        "worker",
        "heartbeat",
        "created",
        "finished",
    )
    list_filter = ("state", "kind", "queue")
    search_fields = ("id", "owner__username")
    actions = ("stop", "retry")
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
            made = jobs.submit(obj.kind, obj.parameters, owner=request.user)
        except (BadInput, Busy) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        obj.pk, obj.queue, obj.owner, obj.created = made.pk, made.queue, made.owner, made.created

    @admin.display(description="progress")
    def progress_shown(self, job: Job) -> str:
        """``done of total``."""
        done, total = job.progress.get("done", 0), job.progress.get("total")
        return f"{done:,} of {total:,}" if total else f"{done:,}"

    @admin.action(description="Stop", permissions=["change"])
    def stop(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """Ask each to stop at its next step."""
        for job in chosen:
            jobs.stop(job)
        self.message_user(request, "Asked to stop; what runs ends at its next step.")

    @admin.action(description="Retry", permissions=["change"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        """Queue each ended one again."""
        queued = sum(jobs.retry(job).state == Job.State.QUEUED for job in chosen)
        self.message_user(request, f"{queued} queued again.")


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    """Promote a version, or go back to the shipped model."""

    list_display = ("area", "slot", "version", "active", "hash", "created", "job")
    list_filter = ("area", "active")
    actions = ("promote", "retire")
    readonly_fields = tuple(field.name for field in ModelVersion._meta.fields)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Versions come from training jobs."""
        return False

    @admin.action(description="Promote: answer with this version from now on", permissions=["change"])
    def promote(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Make one version the active one."""
        if len(chosen) != 1:
            self.message_user(request, "Choose exactly one version.", messages.ERROR)
            return
        registry.promote(chosen[0])
        self.log_change(request, chosen[0], "promoted")
        self.message_user(
            request, f"{chosen[0]} answers now. Libraries of another model have to be imported again."
        )

    @admin.action(description="Roll back to the shipped model", permissions=["change"])
    def retire(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        """Deactivate the area and slot of the chosen versions."""
        for version in chosen:
            registry.retire(version.area, version.slot)
            self.log_change(request, version, "retired in favour of the shipped model")


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
