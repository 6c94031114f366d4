"""One model and the open libraries of this process, shared by all its threads.

Loaded at the first question or by :meth:`Engine.warm_in_background`. Before every answer the stamps of the library
folders are compared, so that an import or a deletion is seen by the next question. A promoted model is loaded and
rehearsed in the background while the one before goes on answering; one that cannot be loaded changes nothing but what
:meth:`Engine.ready` says. The answers under way keep what they have.

Searches in words are worked on in batches (:mod:`.batching`) where there are bounds for them.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from workers import calls, catalogue, metrics, registry, science
from workers.batching import Batcher, Gone, Late, Limits
from workers.errors import Busy, NotFound

log = logging.getLogger(__name__)

MODEL_CHECK_SECONDS = 2.0
WARM_AGAIN_SECONDS = 5.0
#: how long a batch waits for those who wait for a turn, and for each turn that somebody has
ALONE_SECONDS = 0.1
PROMOTE_AGAIN_SECONDS = 30.0

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Loaded:
    """What answers: a model, libraries by id, and the searcher over all of them."""

    folder: Path
    model: Any
    libraries: Mapping[str, Any]
    stamps: Mapping[Path, Stamp]
    searcher: Any
    stale: frozenset[str] = frozenset()
    faults: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """Answers the verbs of the door. ``tools`` is :mod:`workers.science` or, in tests, something with its functions."""

    def __init__(
        self,
        tools: Any = science,
        *,
        searches: int = 4,
        wait: float = 20.0,
        threads: int = 0,
        batches: Limits | None = None,
    ) -> None:
        self._tools = tools
        self._wait = wait
        self._threads = threads
        self._searches = searches
        self._outside = 0  # how many wait for a turn
        self._calm = threading.Condition()
        self._turns = threading.BoundedSemaphore(searches)
        self._changing = threading.Lock()
        self._loaded: Loaded | None = None
        self._model_folder: tuple[float, Path] | None = None
        self._promoting: Path | None = None
        self._refused: tuple[Path, float, str] | None = None  # a promoted model, when it failed, and why
        self._warm = False
        self._fault = "The model is being loaded."
        self._batcher: Batcher[tuple[Any, Any], Any] | None = None
        if batches is not None:
            self._batcher = Batcher(_rank_together, batches, metrics.BATCHES, around=self._undisturbed)

    def answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Call ``verb`` of the tools. Raises BadInput, NotFound or Busy."""
        act = getattr(self._tools, f"do_{verb}")
        if verb in self._tools.WITHOUT_MODEL:
            with self._turn():
                return act(**arguments)
        loaded = self.loaded()
        with self._turn():
            return act(loaded, **self._chosen(loaded, arguments))

    def loaded(self) -> Loaded:
        """Model and libraries to answer with now. Raises Busy when the first model cannot be loaded."""
        folder = self._active_folder()
        now = self._loaded
        if now is not None and now.folder != folder:
            self._promote(folder)
            folder = now.folder
        elif self._refused is not None:  # the promotion that failed was taken back
            self._refused = None
        stamps = self._stamps(folder)
        if now is not None and now.stamps == stamps:
            return now
        with self._changing:
            now = self._loaded
            if now is None:
                self._loaded = self._serve(self._load(folder, stamps, None))
            elif now.folder == folder and now.stamps != stamps:
                self._loaded = self._serve(self._load(folder, stamps, now))
            assert self._loaded is not None
            return self._loaded

    def ready(self) -> dict[str, Any]:
        """Whether a search would be answered, with what."""
        loaded = self._loaded
        if not self._warm or loaded is None:
            return {"ready": False, "problem": self._fault}
        faults = dict(loaded.faults)
        if self._refused is not None:
            faults["model"] = self._refused[2]
        return {
            "ready": True,
            "model": loaded.model.fingerprint,
            "libraries": len(loaded.libraries),
            "faults": faults,
        }

    def stale(self) -> frozenset[str]:
        """Ids of libraries that another model built, as far as they have been looked at."""
        return self._loaded.stale if self._loaded is not None else frozenset()

    def builtin_folders(self) -> tuple[Path, ...]:
        """Folders of the libraries that come with the model in use."""
        return (catalogue.folder_of(self._active_folder()),)

    def warm_in_background(self) -> threading.Thread:
        """Load everything and answer one question, in a thread that tries again until it works."""
        thread = threading.Thread(target=self._warm_up, name="warm-up", daemon=True)
        thread.start()
        return thread

    def warm(self) -> None:
        """Load everything and answer one question."""
        started = time.monotonic()
        loaded = self.loaded()
        with self._turn():
            self._tools.rehearse(loaded)
        self._warm = True
        log.info(
            "ready after %.1f s: %d libraries, model %s",
            time.monotonic() - started,
            len(loaded.libraries),
            _name(loaded),
        )

    def _warm_up(self) -> None:
        try:
            while not self._warm:
                try:
                    self.warm()
                except Exception as error:  # told by the health probe until it works
                    self._fault = str(error)
                    log.exception("the model cannot be used yet; trying again in %.0f s", WARM_AGAIN_SECONDS)
                    time.sleep(WARM_AGAIN_SECONDS)
        finally:
            connections.close_all()

    # -- another model

    def _promote(self, folder: Path) -> None:
        """Begin to load the model in ``folder`` in the background, unless that is under way or has just failed."""
        with self._changing:
            refused = self._refused
            failed = refused is not None and refused[0] == folder
            if failed and refused is not None and time.monotonic() - refused[1] < PROMOTE_AGAIN_SECONDS:
                return
            if self._promoting is not None or self._loaded is None or self._loaded.folder == folder:
                return
            self._promoting = folder
        threading.Thread(target=self._replace, args=(folder,), name="promotion", daemon=True).start()

    def _replace(self, folder: Path) -> None:
        """Load and rehearse the model in ``folder``, then let it answer; where that fails, leave everything."""
        started = time.monotonic()
        try:
            loaded = self._load(folder, self._stamps(folder), None)
            self._tools.rehearse(loaded)
            with self._changing:
                self._loaded = self._serve(loaded)
                self._refused = None
            gc.collect()  # the model before, as soon as its last answer is given
            log.info("model %s answers after %.1f s", _name(loaded), time.monotonic() - started)
        except Exception as error:
            self._refused = (folder, time.monotonic(), f"The promoted model cannot be used: {error}")
            log.exception("the promoted model in %s cannot be used; the one before goes on answering", folder)
        finally:
            self._promoting = None
            connections.close_all()

    def _serve(self, loaded: Loaded) -> Loaded:
        """``loaded`` with its searches in words gathered into batches."""
        if self._batcher is not None:
            loaded.searcher.rank = partial(self._ranked, loaded.searcher)
        metrics.model_loaded(loaded.model.fingerprint, len(loaded.libraries))
        return loaded

    # -- turns

    def _ranked(self, searcher: Any, question: Any) -> Any:
        """The ranking of ``question`` as part of a batch; meanwhile another may have this one's turn."""
        assert self._batcher is not None
        call = calls.current()
        self._turns.release()
        try:
            return self._batcher.submit(
                (searcher, question), cost=question.cost, deadline=call.deadline, gone=lambda: call.gone
            )
        finally:
            self._turns.acquire()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Have every turn while a batch is computed, as far as they come free soon.

        The batch is many short operations that give up the interpreter's lock and want it back; threads that read
        questions meanwhile would make it wait for each. Whoever waits for a turn has it first, and may join the batch.
        """
        held = 0
        with self._calm:
            self._calm.wait_for(lambda: not self._outside, timeout=ALONE_SECONDS)
        try:
            for number in range(self._searches):
                held += self._turns.acquire(timeout=self._wait if number == 0 else ALONE_SECONDS)
            yield
        finally:
            for _ in range(held):
                self._turns.release()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Be counted among those who wait for their turn."""
        with self._calm:
            self._outside += 1
        try:
            yield
        finally:
            with self._calm:
                self._outside -= 1
                if not self._outside:
                    self._calm.notify_all()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be one of so many at work. Raises Busy when none ends in time, Late and Gone as the batcher does."""
        call = calls.current()
        with metrics.WAITING.track_inprogress(), self._waiting():
            if not self._turns.acquire(timeout=min(self._wait, call.left)):
                metrics.BATCHES.dropped("late")
                raise Late("Too many questions are waiting; none ended in time. Try again in a moment.")
        try:
            if call.gone:
                metrics.BATCHES.dropped("gone")
                raise Gone("The caller has gone.")
            with metrics.WORKING.track_inprogress():
                yield
        finally:
            self._turns.release()

    def _chosen(self, loaded: Loaded, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with ``libraries`` resolved to open ones, and a single ``library`` checked."""
        out = dict(arguments)
        if "library" in out and out["library"] not in loaded.libraries:
            raise NotFound(self._why_not(loaded, out["library"]))
        if "libraries" in out:
            asked = out["libraries"]
            wanted = self._shared(loaded) if asked is None else asked
            out["libraries"] = tuple(name for name in wanted if name in loaded.libraries)
            if not out["libraries"]:
                name = next(iter(wanted), None)
                raise NotFound(self._why_not(loaded, name) if name else "There is no library to search.")
        return out

    def _why_not(self, loaded: Loaded, name: str) -> str:
        if name in loaded.faults:
            return loaded.faults[name]
        return f"The library '{name[:60]}' is not here, or is still being imported."

    def _shared(self, loaded: Loaded) -> list[str]:
        from workers.models import Library

        own = {folder.name for folder in _user_folders()}
        shared = Library.objects.filter(visibility=Library.Visibility.SHARED).values_list("pk", flat=True)
        return [name for name in loaded.libraries if name not in own] + [
            name for name in shared if name in own
        ]

    def _active_folder(self) -> Path:
        now = time.monotonic()
        known = self._model_folder
        if known is None or now - known[0] > MODEL_CHECK_SECONDS:
            known = self._model_folder = (now, registry.active("retrieval").folder)
        return known[1]

    def _stamps(self, model: Path) -> dict[Path, Stamp]:
        found = {}
        for folder in (catalogue.folder_of(model), *_user_folders()):
            try:
                facts = (folder / "manifest.json").stat()
            except OSError:
                continue
            found[folder] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        return found

    def _load(self, folder: Path, stamps: dict[Path, Stamp], before: Loaded | None) -> Loaded:
        """A new state; what has not changed is taken over from ``before``."""
        if before is None and self._threads:
            self._tools.set_threads(self._threads)
        model = before.model if before is not None else self._tools.load_model(folder)
        libraries: dict[str, Any] = {}
        stale, faults = set(), {}
        kept = {path: before.libraries.get(path.name) for path in stamps} if before is not None else {}
        for path, stamp in stamps.items():
            same = before is not None and before.stamps.get(path) == stamp
            if same and kept.get(path) is not None:
                libraries[path.name] = kept[path]
                continue
            try:
                libraries[path.name] = self._tools.open_library(path, model.fingerprint)
            except Busy as error:
                faults[path.name] = str(error)
                if self._tools.built_by(path) not in (None, model.fingerprint):
                    stale.add(path.name)
                log.warning("the library in %s cannot be opened: %s", path, error)
        searcher = self._tools.make_searcher(
            model, libraries, before.searcher if before is not None else None
        )
        return Loaded(folder, model, libraries, stamps, searcher, frozenset(stale), faults)


def _rank_together(items: Sequence[tuple[Any, Any]]) -> list[Any]:
    """The ranking of each question by its own searcher; those of one searcher together."""
    found: list[Any] = [None] * len(items)
    own: dict[int, list[int]] = {}
    for place, (searcher, _) in enumerate(items):
        own.setdefault(id(searcher), []).append(place)
    for places in own.values():
        rankings = items[places[0]][0].rank_many([items[place][1] for place in places])
        for place, ranking in zip(places, rankings, strict=True):
            found[place] = ranking
    return found


def _name(loaded: Loaded) -> str:
    return str(loaded.model.fingerprint)[:12]


def _user_folders() -> list[Path]:
    root = settings.FERRY_DATA / "libraries"
    try:
        return sorted(path for path in root.iterdir() if not path.name.endswith(".building"))
    except OSError:
        return []


def _limits() -> Limits | None:
    """The bounds of batches that the settings give; None where batches are off."""
    if settings.FERRY_BATCH < 2:
        return None
    return Limits(
        items=settings.FERRY_BATCH, wait=settings.FERRY_BATCH_WAIT_MS / 1000, queue=settings.FERRY_QUEUE
    )


_shared: Engine | None = None
_making = threading.Lock()


def shared() -> Engine:
    """The engine of this process."""
    global _shared  # noqa: PLW0603  one model per process is the point
    with _making:
        if _shared is None:
            _shared = Engine(
                searches=settings.FERRY_SEARCHES,
                wait=settings.FERRY_SEARCH_WAIT,
                threads=settings.FERRY_THREADS,
                batches=_limits(),
            )
        return _shared


def use(engine: Engine | None) -> None:
    """Replace the engine of this process; None makes a new one at the next question."""
    global _shared  # noqa: PLW0603
    with _making:
        _shared = engine
