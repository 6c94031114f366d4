"""Write a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers import backup
from workers.errors import BadInput, Busy


class Command(BaseCommand):
    """Database, libraries, models and data sets in one file; the server may run meanwhile."""

    help = "Write everything that cannot be made again into one file."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path, help="what to write, such as ferry-backup.zip")
        parser.add_argument(
            "--secret-key",
            action="store_true",
            help="take along the key that signs sessions, so that people stay logged in elsewhere",
        )

    def handle(self, *args: Any, file: Path, secret_key: bool, **options: Any) -> None:
        """Write and tell. Raises CommandError, with the remedy."""
        try:
            made = backup.write(file, secret_key=secret_key)
        except (BadInput, Busy) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"The backup could not be written: {error}. Nothing is left of it.") from None
        for words in made["skipped"]:
            self.stdout.write(f"left out   {words}")
        self.stdout.write(
            f"{made['file']}: {made['bytes'] / 1e6:,.1f} MB, {made['rows']:,} rows and {made['files']:,} files "
            f"in {made['seconds']:.1f} s"
        )
