"""Look over the installation."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers import doctor


class Command(BaseCommand):
    """Say what is wrong and what to do; 1 when something is."""

    help = "Look for what is wrong: rows without files, files without rows, silent jobs, triggers, disk …"
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--json", action="store_true", help="one JSON object, without secrets, for a ticket"
        )
        parser.add_argument(
            "--fix", action="store_true", help="mend what is safe to mend, and remove what nobody can want"
        )

    def handle(self, *args: Any, fix: bool, **options: Any) -> None:
        """Examine and tell."""
        report = doctor.examine(repair=fix)
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=1, ensure_ascii=False))
        else:
            self._say(report)
        sys.exit(0 if report["fine"] else 1)

    def _say(self, report: dict[str, Any]) -> None:
        for result in report["checks"]:
            word = "ok" if not result["findings"] else "note" if result["fine"] else "FAULT"
            self.stdout.write(f"{word:<6} {result['check']}")
            for finding in result["findings"]:
                self.stdout.write(f"       {finding['message']} {finding['remedy']}")
                for item in finding["items"]:
                    self.stdout.write(f"         {item}")
            for words in result["done"]:
                self.stdout.write(f"  did  {words}")
        named = ", ".join(f"{name} {value}" for name, value in report["versions"].items() if value)
        self.stdout.write(f"\n{named}")
        for entry in report["settings"]:
            self.stdout.write(f"{entry['name']}={entry['value']}")
        self.stdout.write("\nAll is well." if report["fine"] else "\nSomething is wrong; see above.")
