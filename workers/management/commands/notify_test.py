"""Try whether notices arrive."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workers import notices


class Command(BaseCommand):
    """Send a test notice over every channel that is configured."""

    help = "Send a test notice to FERRY_WEBHOOK and FERRY_NOTIFY."

    def handle(self, *args: Any, **options: Any) -> None:
        """Send and tell. Raises CommandError when nothing is configured or something was not taken."""
        sent = notices.send_test("manage.py notify_test")
        if not sent:
            raise CommandError("No notices are configured. Set FERRY_WEBHOOK, or FERRY_NOTIFY and EMAIL_URL.")
        for entry in sent:
            self.stdout.write(f"{entry['channel']:<8} {entry['message']}")
        if not all(entry["sent"] for entry in sent):
            raise CommandError("Not every notice was taken.")
