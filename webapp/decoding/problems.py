"""What a person reads on this page when there is no answer."""

from __future__ import annotations

from dataclasses import replace

from webapp.search.problems import Problem, explain
from workers.inference import NotFound


def explained(error: Exception) -> Problem:
    """The words for an error of the door, with titles that fit: nothing is searched here."""
    problem = explain(error)
    if isinstance(error, NotFound):
        return replace(
            problem,
            title="There is no language model yet",
            remedy=str(
                getattr(error, "remedy", "") or "Ask whoever runs this server to install or train one."
            ),
        )
    return replace(problem, title="That cannot be answered") if problem.status == 422 else problem
