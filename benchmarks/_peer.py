"""What Ferry's search is compared with: sentence-transformers and a flat FAISS index, behind the same web server.

Run by ``benchmarks.search`` as ``granian benchmarks._peer:application``; ``PEER_MODEL`` and ``PEER_INDEX`` say where
model and index lie. ``GET /?q=…`` answers the 20 nearest rows with their texts and scores.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
#: the longest text that is indexed, in tokens: an index of SMILES costs nobody's quality here, only time to build
INDEXED = 32


def build(model: str, texts: list[str], folder: Path) -> None:
    """Encode ``texts`` and write index and texts to ``folder``."""
    import faiss
    import torch  # noqa: F401 - before FAISS, for the sake of OpenMP
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    encoder.max_seq_length = INDEXED
    vectors = encoder.encode(texts, batch_size=128, normalize_embeddings=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index, str(folder / "index.faiss"))
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


class Peer:
    """Model, index and texts, loaded once."""

    def __init__(self, model: str, folder: Path) -> None:
        import faiss
        import torch  # noqa: F401
        from sentence_transformers import SentenceTransformer

        self.encoder = SentenceTransformer(model, device="cpu")
        self.index = faiss.read_index(str(folder / "index.faiss"))
        self.texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        self.answer("to warm it up")

    def answer(self, text: str) -> bytes:
        """The nearest rows as JSON."""
        vector = self.encoder.encode([text], normalize_embeddings=True, show_progress_bar=False)
        scores, rows = self.index.search(vector, 20)
        hits = [
            {"rank": rank, "score": float(score), "text": self.texts[row]}
            for rank, (score, row) in enumerate(zip(scores[0], rows[0], strict=True), 1)
        ]
        return json.dumps({"query": text, "hits": hits}).encode()


_threads = ThreadPoolExecutor(4)
_peer = Peer(os.environ["PEER_MODEL"], Path(os.environ["PEER_INDEX"])) if "PEER_INDEX" in os.environ else None


async def application(
    scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """One request."""
    if scope["type"] != "http":
        return
    assert _peer is not None
    text = parse_qs(scope["query_string"].decode()).get("q", ["ready?"])[0]
    body = await asyncio.get_running_loop().run_in_executor(_threads, _peer.answer, text)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
