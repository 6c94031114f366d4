"""From a query to the answer: understand it, filter, rank in the way that fits, page, and say what was found.

========================  ===========================================================================================
kind                      ranking
========================  ===========================================================================================
prose                     meaning, descriptions and words fused, the best re-ranked in all grains (:mod:`.prose`)
name, cas                 names first (exact, then corrected, then begun), then what the text means
formula                   all molecules of the formula, the best known first
smiles, inchi, molfile    the same molecule (as far as ``same`` goes), its stereo-isomers, salts and tautomers,
                          then similar ones; or what contains it (``mode``)
inchikey, id              look-up
smarts                    what contains the pattern
========================  ===========================================================================================
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcore.retrieval import answer, lexical, structural
from mlcore.retrieval.allowed import Allowed, evaluate
from mlcore.retrieval.candidates import Candidate, Ranking, merged, order
from mlcore.retrieval.encoding import TextEncoding
from mlcore.retrieval.facets import facets
from mlcore.retrieval.filters import Filters
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.prose import Question, TextModel, rank_many
from mlcore.retrieval.query import Query, understand
from mlcore.retrieval.sameness import SAMES
from mlcore.retrieval.shelf import NUMBERS, Shelf
from mlcore.retrieval.structure import tanimoto
from mlcore.runtime.errors import InputError
from mlcore.runtime.sandbox import Sandbox, shared

if TYPE_CHECKING:
    from mlcore.retrieval.library import Library

MODES = ("auto", "exact", "similar", "contains")
SORTS = ("score", "name", *NUMBERS)
#: hits a page may have, and how far paging goes
LARGEST_PAGE = 1000
FARTHEST = 100_000
_REMEMBERED_TEXTS = 256
#: the best score that a hit by meaning may have where a name was asked for
_BELOW_NAMES = 0.45
#: of a search in words, as many of the best hits are sorted by something else than their score
WINDOW = 50
_PROSE_VERDICTS = {
    "absent": "Probably not in this library: nothing here fits the description well.",
    "doubtful": "Perhaps not in this library: the best hits fit only in part.",
    "found": "The first hits fit the description.",
}
_FOUND = {
    "name": "Found by its name.",
    "cas": "Found by its number.",
    "id": "Found by its identifier.",
    "formula": "Found by its formula.",
    "inchikey": "Found by its InChIKey.",
    "smarts": "Found by what it contains.",
    "smiles": "Found by its structure.",
    "inchi": "Found by its structure.",
    "molfile": "Found by its structure.",
}


@dataclass(frozen=True)
class SearchRequest:
    """One search. ``sort`` is one of :data:`SORTS`, with ``-`` before it for the other direction; ``same`` says
    what counts as the same molecule as a structure (:data:`mlcore.retrieval.sameness.SAMES`).
    """

    text: str
    read_as: str = "auto"
    mode: str = "auto"
    same: str = "compound"
    filters: Filters = field(default_factory=Filters)
    libraries: tuple[str, ...] = ()
    k: int = 20
    offset: int = 0
    sort: str = "score"
    stereo: str = "respect"
    facets: bool = False

    def check(self) -> None:
        """Raise :class:`InputError` for a value that cannot be."""
        for name, value, known in (
            ("mode", self.mode, MODES),
            ("same", self.same, SAMES),
            ("sort", self.sort.removeprefix("-"), SORTS),
            ("stereo", self.stereo, ("respect", "ignore")),
        ):
            if value not in known:
                raise InputError(
                    f"'{value[:40]}' is no choice for {name}.", field=name, remedy=f"Use {', '.join(known)}."
                )
        if not 1 <= self.k <= LARGEST_PAGE:
            raise InputError(
                f"A page of {self.k} hits is not possible.", field="k", remedy=f"Use 1 to {LARGEST_PAGE}."
            )
        if not 0 <= self.offset <= FARTHEST:
            raise InputError(
                f"Hits cannot be shown from {self.offset} on.", field="offset", remedy=f"Use 0 to {FARTHEST}."
            )


class _Known:
    """What the chosen libraries know, for reading a query."""

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves

    def known_name(self, text: str) -> bool:
        return any(shelf.names.known(text) for shelf in self._shelves)

    def corrected_name(self, text: str) -> str | None:
        found = [match for shelf in self._shelves for match in shelf.names.corrected(text, most=1)]
        return max(found, key=lambda match: match.score).name if found else None

    def known_word(self, word: str) -> bool:
        return any(word in shelf.lexical for shelf in self._shelves)

    def known_id(self, text: str) -> bool:
        for shelf in self._shelves:
            try:
                shelf.library.index_of(text)
            except KeyError:
                continue
            return True
        return False


class Searcher:
    """Searches opened libraries with one model; safe for many threads.

    ``libraries`` in order of preference: a molecule in several is shown from the first. The constants of
    ``fusion`` and ``calibration`` come from the model's ``config`` unless given. ``rank`` answers the questions
    in words; a server may put something in its place that gathers questions of many threads for :meth:`rank_many`.
    """

    rank: Callable[[Question], list[Candidate]]

    def __init__(
        self,
        model: TextModel,
        libraries: Mapping[str, Library],
        *,
        fusion: Fusion | None = None,
        calibration: Calibration | None = None,
        sandbox: Sandbox | None = None,
        shelves: Mapping[str, Shelf] | None = None,
    ) -> None:
        found = getattr(model, "config", None)
        config: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        self.model = model
        self.fusion = fusion or Fusion.from_config(config)
        self.calibration = calibration or Calibration.from_config(config)
        self._sandbox = sandbox
        held = {shelf.library.fingerprint: shelf for shelf in (shelves or {}).values()}
        self.shelves = {
            key: held[library.fingerprint] if library.fingerprint in held else Shelf(library)
            for key, library in libraries.items()
        }
        self._texts: OrderedDict[str, TextEncoding] = OrderedDict()
        self._lock = threading.Lock()
        self.rank = lambda question: self.rank_many([question])[0]

    def with_libraries(self, libraries: Mapping[str, Library]) -> Searcher:
        """A searcher over other libraries that keeps what is in memory of those it has already."""
        return Searcher(
            self.model,
            libraries,
            fusion=self.fusion,
            calibration=self.calibration,
            sandbox=self._sandbox,
            shelves=self.shelves,
        )

    def warm(self) -> None:
        """Build every library's indexes and start a child now, so that the first search waits for neither."""
        (self._sandbox or shared()).warm()
        for shelf in self.shelves.values():
            shelf.warm()

    def chosen(self, libraries: Sequence[str] = ()) -> list[Shelf]:
        """The shelves of ``libraries`` in order of preference, all of them when none is named."""
        for name in libraries:
            if name not in self.shelves:
                raise InputError(
                    f"There is no library '{name[:60]}'.",
                    field="library",
                    remedy=f"Choose from {', '.join(self.shelves) or 'none: import one first'}.",
                )
        return [shelf for name, shelf in self.shelves.items() if not libraries or name in libraries]

    def understand(self, text: str, *, read_as: str = "auto", libraries: Sequence[str] = ()) -> Query:
        """How ``text`` would be read against ``libraries``."""
        return understand(text, read_as=read_as, knows=_Known(self.chosen(libraries)), sandbox=self._sandbox)

    def suggest(self, prefix: str, k: int = 8, libraries: Sequence[str] = ()) -> list[str]:
        """Names that complete ``prefix``."""
        offered = [name for shelf in self.chosen(libraries) for name in shelf.names.suggest(prefix[:200], k)]
        return list(dict.fromkeys(offered))[:k]

    def search(self, request: SearchRequest) -> dict[str, Any]:
        """The answer to ``request`` in the documented JSON form; raises :class:`InputError` for what cannot be read."""
        started = time.perf_counter()
        request.check()
        shelves = self.chosen(request.libraries or request.filters.libraries)
        query = understand(
            request.text, read_as=request.read_as, knows=_Known(shelves), sandbox=self._sandbox
        )
        stereo = request.stereo == "respect"
        allowed = [
            evaluate(request.filters, shelf, stereo=stereo, sandbox=self._sandbox) for shelf in shelves
        ]
        ranking = self._ranked(query, request, shelves, allowed)
        candidates = merged(ranking.candidates, shelves)
        notes = [note for passing in allowed for note in passing.notes] + list(ranking.notes)
        if request.sort != "score":
            if query.kind in ("prose", "name") and len(candidates) > WINDOW:
                candidates = candidates[:WINDOW]
                notes.append(f"The {WINDOW} best hits, sorted by {request.sort.removeprefix('-')}.")
            candidates = _sorted(candidates, shelves, request.sort)
        page = candidates[request.offset : request.offset + request.k]
        result = {
            "query": answer.query_json(query),
            "hits": self._hits(query, page, shelves, request.offset),
            **answer.pages_json(len(candidates), request.offset, request.k),
            "sort": request.sort,
            "filters": request.filters.parameters(),
            "verdict": self._verdict(query, ranking, candidates),
            "libraries": answer.libraries_json(shelves),
            "model": self.model.fingerprint,
            "notes": list(dict.fromkeys(notes)),
        }
        if request.facets:
            result["facets"] = facets(candidates, shelves)
        result["took_ms"] = round((time.perf_counter() - started) * 1000, 2)
        return result

    # -- ranking

    def _ranked(
        self, query: Query, request: SearchRequest, shelves: list[Shelf], allowed: list[Allowed]
    ) -> Ranking:
        found = structural.look_up(
            query,
            shelves,
            allowed,
            mode=request.mode,
            same=request.same,
            stereo=request.stereo == "respect",
            threshold=request.filters.similarity,
            sandbox=self._sandbox,
        )
        if found is not None:
            return found
        prose = self._prose(query.corrected or query.text, shelves, allowed)
        if query.kind == "prose":
            return Ranking(tuple(prose))
        return _names_first(structural.by_name(query.text, shelves, allowed), prose)

    def _prose(self, text: str, shelves: list[Shelf], allowed: list[Allowed]) -> list[Candidate]:
        if not any(passing.count(shelf.size) for shelf, passing in zip(shelves, allowed, strict=True)):
            return []
        return self.rank(Question(" ".join(text.split()), shelves, allowed))

    def rank_many(self, questions: Sequence[Question]) -> list[list[Candidate]]:
        """The candidates of each question, unordered."""
        encodings = self._encoded([question.text for question in questions])
        return rank_many(questions, encodings, self.model, self.fusion, self.calibration)

    def _encoded(self, texts: Sequence[str]) -> list[TextEncoding]:
        """``texts`` encoded; the latest are remembered for paging."""
        found: dict[str, TextEncoding] = {}
        with self._lock:
            for text in texts:
                if text in self._texts:
                    self._texts.move_to_end(text)
                    found[text] = self._texts[text]
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            encoded = self.model.encode_texts(new)
            found.update((text, encoded.alone(row)) for row, text in enumerate(new))
            with self._lock:
                self._texts.update((text, found[text]) for text in new)
                while len(self._texts) > _REMEMBERED_TEXTS:
                    self._texts.popitem(last=False)
        return [found[text] for text in texts]

    # -- the answer

    def _hits(
        self, query: Query, page: Sequence[Candidate], shelves: list[Shelf], offset: int
    ) -> list[dict[str, Any]]:
        text = " ".join((query.corrected or query.text).split())
        worded = query.kind in ("prose", "name")
        hits: dict[int, dict[str, Any]] = {}
        for place, shelf in enumerate(shelves):
            mine = [(rank, candidate) for rank, candidate in enumerate(page) if candidate.shelf == place]
            if not mine:
                continue
            numbers = [candidate.row for _, candidate in mine]
            asked = shelf.lexical.asked(text) if worded else []
            linked: list[list[str]] = [[] for _ in mine]
            if query.kind == "prose":
                (encoding,) = self._encoded([text])
                linked = answer.linked_words(text, encoding, shelf.library.encoding(np.array(numbers)))
            for (rank, candidate), row, links in zip(mine, shelf.library.rows(numbers), linked, strict=True):
                matched = lexical.matched(asked, answer.row_fields(row)) if worded else []
                extra = [word for word in links if word not in matched]
                hits[rank] = answer.hit_json(offset + rank + 1, candidate, row, shelf, matched, extra)
        return [hits[rank] for rank in sorted(hits)]

    def _verdict(self, query: Query, ranking: Ranking, candidates: Sequence[Candidate]) -> dict[str, str]:
        """Whether the answer is here."""
        if not candidates:
            return answer.verdict_json(
                "absent", ranking.missing or "Nothing in this library fits, with these filters."
            )
        best = max(candidate.score for candidate in candidates)
        if query.kind == "prose":
            level = self.calibration.verdict(
                np.array([candidate.score for candidate in candidates]),
                np.array([candidate.has_text for candidate in candidates]),
            )
            return answer.verdict_json(level, _PROSE_VERDICTS[level])
        if ranking.missing:
            rest = " What follows fits the words best." if query.kind == "name" else ""
            level = "doubtful" if query.kind != "name" or best > _BELOW_NAMES else "absent"
            return answer.verdict_json(level, f"{ranking.missing}{rest}")
        return answer.verdict_json("found", _FOUND.get(query.kind, "Found."))

    # -- around a molecule

    def neighbours(self, library: str, id: str, k: int = 12, libraries: Sequence[str] = ()) -> dict[str, Any]:
        """The molecules most like one of a library: by the model's vectors and by Tanimoto, each counting
        half.

        ``{"molecule", "hits"}`` with hits as in a search; raises :class:`KeyError` for an id that is not
        there.
        """
        started = time.perf_counter()
        home = self.chosen((library,))[0]
        row = home.library.index_of(id)
        vector = home.library.vectors(np.array([row]))[0]
        bits = np.array(home.library.fingerprints()[row])
        shelves = self.chosen(libraries)
        found: list[Candidate] = []
        for place, shelf in enumerate(shelves):
            alike = tanimoto(np.asarray(shelf.library.fingerprints()), bits)
            _, near = shelf.library.nearest(vector[None], 4 * k + 1)
            most_alike = np.argsort(-alike, kind="stable")[: 4 * k + 1]
            rows = np.unique(np.concatenate([near[0][near[0] >= 0], most_alike]))
            cosines = shelf.library.vectors(rows) @ vector
            for number, cosine in zip(rows, cosines, strict=True):
                similarity = round(float(alike[number]), 4)
                score = 0.5 * similarity + 0.5 * float(np.clip(cosine, 0.0, 1.0))
                found.append(
                    Candidate(place, int(number), score, ("meaning", "structure"), 0, similarity, "neighbour")
                )
        own = str(home.keys[row])
        others = [c for c in merged(found, shelves) if str(shelves[c.shelf].keys[c.row]) != own][:k]
        hits = self._hits(Query("", "id", ""), others, shelves, 0)
        took = round((time.perf_counter() - started) * 1000, 2)
        return {
            "molecule": answer.molecule_json(home.library.row(row)),
            "library": library,
            "hits": hits,
            "took_ms": took,
        }


def _names_first(named: Ranking, prose: Sequence[Candidate]) -> Ranking:
    """Named molecules, then what the text means, which never scores above a name nor above "possible"."""
    taken = {(candidate.shelf, candidate.row) for candidate in named.candidates}
    meaning = {(candidate.shelf, candidate.row): candidate for candidate in prose}
    first = [
        c._replace(parts=meaning[(c.shelf, c.row)].parts) if (c.shelf, c.row) in meaning else c
        for c in named.candidates
    ]
    ceiling = min([_BELOW_NAMES, *(c.score for c in first)])
    rest = [c._replace(group=9, score=min(c.score, ceiling)) for c in prose if (c.shelf, c.row) not in taken]
    # an equal ceiling must not undo the order that the meaning gave
    rest = [
        c._replace(score=c.score - 1e-6 * place)
        for place, c in enumerate(
            sorted(rest, key=lambda c: (-meaning[(c.shelf, c.row)].score, c.shelf, c.row))
        )
    ]
    return Ranking((*first, *rest), named.notes, named.missing)


def _sorted(candidates: list[Candidate], shelves: Sequence[Shelf], sort: str) -> list[Candidate]:
    """``candidates`` by ``sort``; equal ones in order of relevance."""
    name, backwards = sort.removeprefix("-"), sort.startswith("-")
    ranked = sorted(candidates, key=order)
    if name == "score":
        return ranked[::-1] if backwards else ranked

    def value(candidate: Candidate) -> Any:
        shelf = shelves[candidate.shelf]
        return shelf.titles[candidate.row] if name == "name" else float(shelf.columns[name][candidate.row])

    return sorted(ranked, key=value, reverse=backwards)
