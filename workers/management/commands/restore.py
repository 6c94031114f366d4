"""Bring back a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers import restoring
from workers.errors import BadInput, Busy


class Command(BaseCommand):
    """Bring back what ``backup`` wrote, into SQLite or PostgreSQL; Ferry has to be stopped."""

    help = "Bring back a backup. Ferry has to be stopped."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--force", action="store_true", help="replace what is there; its files are kept aside"
        )

    def handle(self, *args: Any, file: Path, force: bool, **options: Any) -> None:
        """Restore and tell. Raises CommandError, with the remedy; then nothing has been changed."""
        try:
            done = restoring.restore(file, force=force)
        except (BadInput, Busy) as error:
            raise CommandError(str(error)) from None
        for words in done["skipped"]:
            self.stdout.write(f"not in it  {words}")
        if done["kept"]:
            self.stdout.write(f"kept       {done['kept']} has what was here; delete it when all is well")
        self.stdout.write(
            f"restored   {done['rows']:,} rows and {done['files']:,} files of {done['created'][:16]} "
            f"(Ferry {done['ferry']}). Start Ferry again."
        )
