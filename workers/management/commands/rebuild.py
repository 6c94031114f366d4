"""Make anew what a promoted model has made stale."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers import board, rebuilding, watching
from workers.errors import BadInput
from workers.models import Job


class Command(BaseCommand):
    """Begin a job for every library that another model built than the one in use."""

    help = "Rebuild the libraries that another model built than the one in use."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--area", default="", help="only what rests on models of this area (retrieval)")
        parser.add_argument("--dry-run", action="store_true", help="say what would be begun")
        parser.add_argument("--wait", action="store_true", help="show progress until all have ended")

    def handle(self, *args: Any, area: str, dry_run: bool, wait: bool, **options: Any) -> None:
        """Begin and tell; with ``--wait`` 1 where one did not end well. Raises CommandError."""
        try:
            if dry_run:
                for library in rebuilding.stale(area):
                    self.stdout.write(f"would rebuild {library.pk} ({library.size:,} molecules)")
                return
            made = rebuilding.begin(area, "manage.py rebuild")
        except BadInput as error:
            raise CommandError(str(error)) from None
        for job in made:
            self.stdout.write(f"{job.pk} rebuilds {job.parameters['library']}")
        if not made:
            self.stdout.write("Nothing to begin: every library fits the model in use, or is being rebuilt.")
        elif not board.workers_on("indexing"):
            self.stdout.write("No worker listens to indexing now; they begin when one does (make serve).")
        if wait:
            ends = [watching.watch(job, self.stdout.write) for job in made]
            sys.exit(0 if all(end == Job.State.DONE for end in ends) else 1)
