"""Long work from the terminal: see, start, watch, stop, resume."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers import audit, board, jobs, kinds, notices, watching
from workers.errors import BadInput, Busy
from workers.models import Job

TERMINAL = "manage.py jobs"


class Command(BaseCommand):
    """Every kind of the registry can be started; a new kind appears here by itself."""

    help = "List, start, watch, stop or resume jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="list|kinds|start|watch|stop|resume"
        )
        shown = verbs.add_parser("list", help="the latest jobs")
        shown.add_argument("--open", action="store_true", help="only those that wait or run")
        shown.add_argument("-k", type=int, default=20, help="how many (default: 20)")
        verbs.add_parser("kinds", help="what can be started, with presets, data and options")
        start = verbs.add_parser("start", help="start one")
        start.add_argument("kind", help="one of those that `jobs kinds` shows")
        start.add_argument(
            "--data", action="append", default=[], metavar="ROLE=NAME", help="a data set for a role; repeats"
        )
        start.add_argument("--preset", default="", help="a named configuration")
        start.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="a change to the preset; repeats"
        )
        start.add_argument(
            "--version", type=int, help="evaluation: key of the model version; 0 is the shipped"
        )
        start.add_argument("--area", help="evaluation of a shipped model: its area")
        start.add_argument("--name", default="", help="what people call it")
        start.add_argument("--owner", help="whose job it is (default: nobody's)")
        start.add_argument("--watch", action="store_true", help="show its progress until it ends")
        for verb, words in (
            ("watch", "show progress until it ends"),
            ("stop", "ask it to stop, saved"),
            ("resume", "queue an ended one again"),
        ):
            verbs.add_parser(verb, help=words).add_argument("job", help="its key, or the beginning of it")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        """Do it. Raises CommandError, with the remedy."""
        try:
            getattr(self, f"_{verb}")(**options)
        except (BadInput, Busy) as error:
            raise CommandError(str(error)) from None

    def _list(self, k: int, **options: Any) -> None:
        rows = Job.objects.select_related("owner")
        rows = rows.filter(state__in=Job.OPEN) if options["open"] else rows
        for job in rows[:k]:
            shown = board.line(job)
            total = f" of {shown['total']:,}" if shown["total"] else ""
            left = f", {notices.duration(shown['seconds_left'])} left" if shown["seconds_left"] else ""
            self.stdout.write(
                f"{shown['id'][:8]}  {shown['standing']:<12} {shown['kind']:<11} {shown['done']:,}{total}{left}  "
                f"{shown['name'] or ''} {shown['owner'] or ''}".rstrip()
            )

    def _kinds(self, **options: Any) -> None:
        for kind in kinds.offered():
            self.stdout.write(f"{kind.name:<12} {kind.title}. {kind.description}")
            for slot in kind.data:
                needed = "" if slot.required else " (can be left out)"
                self.stdout.write(f"  --data {slot.name}=NAME   {slot.help}{needed}")
            if presets := list(kind.load_presets()):
                self.stdout.write(f"  --preset {'|'.join(presets)}")
            for option in kind.options():
                self.stdout.write(f"  --set {option.name}={option.default}   {option.help}")

    def _start(self, kind: str, name: str, watch: bool, owner: str | None, **options: Any) -> None:
        found = kinds.find(kind)
        if found.internal:
            raise CommandError(
                f"Jobs of kind '{kind}' are begun elsewhere. `jobs kinds` shows what can be started."
            )
        data, changes = dict(_pairs("--data", options["data"])), dict(_pairs("--set", options["set"]))
        values: dict[str, Any] = {"data": data}
        if options["preset"]:
            values["preset"] = options["preset"]
        elif found.presets:
            values["preset"] = next(iter(found.load_presets()))
        if changes:
            values["overrides"] = changes
        values |= {name: options[name] for name in ("version", "area") if options[name] is not None}
        job = jobs.submit(kind, values, owner=_account(owner), name=name)
        self.stdout.write(f"{job.pk} waits on the queue {job.queue}")
        if not board.workers_on(job.queue):
            self.stdout.write(f"No worker listens to {job.queue} now; it begins when one does.")
        if watch:
            self._follow(job)

    def _watch(self, job: str, **options: Any) -> None:
        self._follow(_job(job))

    def _stop(self, job: str, **options: Any) -> None:
        found = jobs.stop(_job(job), by=TERMINAL)
        audit.record(TERMINAL, "stop", f"job/{found.pk}")
        self.stdout.write(str(found))

    def _resume(self, job: str, **options: Any) -> None:
        found = jobs.resume(_job(job))
        audit.record(TERMINAL, "resume", f"job/{found.pk}")
        self.stdout.write(str(found))

    def _follow(self, job: Job) -> None:
        """Show progress; Ctrl-C ends the showing, not the job. Ends with 1 where the job did not end well."""
        try:
            state = watching.watch(job, self.stdout.write)
        except KeyboardInterrupt:
            self.stdout.write(
                f"\nThe job goes on. See it again: python manage.py jobs watch {str(job.pk)[:8]}"
            )
            return
        if state != Job.State.DONE:
            sys.exit(1)


def _pairs(option: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name:
            raise CommandError(f"{option} {text}: write NAME=VALUE.")
        yield name, value


def _account(name: str | None) -> Any:
    if name is None:
        return None
    user = get_user_model()._default_manager.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no account '{name}'.")
    return user


def _job(key: str) -> Job:
    """A job by the beginning of its key."""
    wanted = key.replace("-", "").lower()
    found = [job for job in Job.objects.only("pk").all() if job.pk.hex.startswith(wanted)] if wanted else []
    if len(found) != 1:
        raise CommandError(f"{len(found) or 'No'} jobs begin with '{key}'. See: python manage.py jobs list")
    return Job.objects.select_related("owner").get(pk=found[0].pk)
