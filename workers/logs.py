"""Every line of the log says which request or which job it belongs to: as text for people, or as JSON for programs."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

#: id of the request that is being answered, see webapp.middleware
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: key of the job that is being worked on, see workers.work
job_id: ContextVar[str] = ContextVar("job_id", default="")


class Marks(logging.Filter):
    """Puts the ids of the present request and job into every record, and ``mark``, the one that a person looks for."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        request, job = request_id.get(), job_id.get()
        marks = {"request_id": request, "job_id": job, "mark": request or (f"job {job}" if job else "-")}
        vars(record).update(marks)
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, job_id, process; exception where there
    is one. What has no value is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
            "job_id": getattr(record, "job_id", ""),
            "process": record.process,
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in facts.items() if value}, ensure_ascii=False)
