"""How long work tells where it stands and learns that it should stop."""

from __future__ import annotations

from typing import Protocol

from tqdm import tqdm


class Progress(Protocol):
    """What a long function reports to; a Celery task, the terminal and a test each bring their own."""

    @property
    def stopping(self) -> bool:
        """True once somebody asked for a stop: save, then return."""

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        """Tell how many of ``total`` steps are done, with the metrics of the latest."""

    def log(self, text: str) -> None:
        """Say one line to whoever is watching."""


class NullProgress:
    """Says nothing and never stops."""

    stopping = False

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        return None

    def log(self, text: str) -> None:
        return None


class TerminalProgress:
    """A progress bar on standard error."""

    stopping = False

    def __init__(self, label: str) -> None:
        self._bar = tqdm(desc=label, dynamic_ncols=True, mininterval=1.0)

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        if total is not None:
            self._bar.total = total
        if metrics:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in metrics.items()}, refresh=False)
        self._bar.update(done - self._bar.n)

    def log(self, text: str) -> None:
        tqdm.write(text, file=self._bar.fp)
