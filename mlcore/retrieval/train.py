"""Training ORMA: two phases, hard negatives, resumable, deterministic for a seed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from mlcore.retrieval import ngrams, pretrained, vocabulary
from mlcore.retrieval.batches import drop_sentences, neighbour_groups
from mlcore.retrieval.data import Molecules, Row, tuning_slice
from mlcore.retrieval.losses import symmetric_contrast
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.orma import Orma, molecule_side, text_side
from mlcore.retrieval.presets import PRESETS, RetrievalTraining
from mlcore.retrieval.ranking import ranks, summary
from mlcore.retrieval.text import TextBatch, TextTokenizer
from mlcore.runtime import card, checkpoint
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress


@dataclass(frozen=True)
class Pairs:
    """Texts and the molecule each describes."""

    texts: list[str]
    molecules: np.ndarray  # (n,) rows of ``Molecules``

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Pairs:
        return Pairs([self.texts[row] for row in rows], self.molecules[rows])


@dataclass(frozen=True)
class Phase:
    name: str  # "lookup" or "joint"
    epochs: int
    batch: int


def make_pairs(rows: Sequence[Row], molecules: Molecules, config: RetrievalTraining) -> tuple[Pairs, Pairs]:
    """Training pairs and the tuning slice, which shares no skeleton with them."""
    usable = [row for row in rows if row.description.strip() and row.smiles in molecules.numbers]
    if len(usable) < 32:
        raise InputError(
            f"Only {len(usable)} of {len(rows)} rows can be trained on.",
            remedy="A training table needs a description and a valid SMILES in at least 32 rows.",
        )
    pairs = Pairs(
        [row.description for row in usable], np.array([molecules.numbers[row.smiles] for row in usable])
    )
    held = tuning_slice(molecules.keys[pairs.molecules], config.tuning_share, config.tuning_seed)
    rng = np.random.default_rng([config.tuning_seed, 1])
    described = np.array([not is_name(text) for text in pairs.texts])
    tuning = pairs.take(np.flatnonzero(held & described))
    train = rng.permutation(np.flatnonzero(~held))
    if config.limit:
        train = train[described[train]][: config.limit]
    train_pairs = pairs.take(np.sort(train))
    if config.shuffle_pairs:
        train_pairs = Pairs(train_pairs.texts, rng.permutation(train_pairs.molecules))
        tuning = Pairs(tuning.texts, rng.permutation(tuning.molecules))
    return train_pairs, tuning


def is_name(text: str) -> bool:
    """Whether a text is a bare name rather than a sentence."""
    return not text.rstrip().endswith(".") and ". " not in text


class Trainer:
    """One training run over given pairs; :meth:`run` drives it to the end or to a requested stop."""

    def __init__(
        self,
        config: RetrievalTraining,
        train: Pairs,
        tuning: Pairs,
        molecules: Molecules,
        out: Path,
        device: str = "cpu",
    ) -> None:
        self.config, self.train_pairs, self.tuning, self.molecules = config, train, tuning, molecules
        self.out, self.device = out, device
        torch.manual_seed(config.seed)
        described = self._start()
        weights = ngrams.document_weights(train.texts, config.model.buckets)
        self.model.text.gram_weights.copy_(torch.from_numpy(weights))  # type: ignore[operator]
        self.model.to(device)
        self.tokenizer = TextTokenizer(described, config.model.tokens, config.model.buckets)
        self.phases = [
            Phase("lookup", config.lookup_epochs if config.model.use_ngrams else 0, config.lookup_batch),
            Phase("joint", config.joint_epochs, config.joint_batch),
        ]
        self.optimizers = self._optimizers()
        keys = self.molecules.keys[train.molecules]
        self.key_numbers = np.unique(keys, return_inverse=True)[1]
        self.text_numbers = np.unique(
            np.array([hash_text(text) for text in train.texts]), return_inverse=True
        )[1]
        self.names = np.array([is_name(text) for text in train.texts])
        # each pair's vectors when it was last seen: they choose the next epoch's groups and the extra negatives
        self.text_vectors = torch.zeros(len(train), config.model.dim)
        self.molecule_vectors = torch.zeros(len(train), config.model.dim)
        self.step = self.epoch = self.position = 0
        self.order = np.zeros(0, dtype=np.int64)
        self._grams: list[np.ndarray] = []

    def _start(self) -> str:
        """Make the network, from the pretrained text encoder or from nothing; its ``tokenizer.json``."""
        config = self.config
        if not config.pretrained:
            described = vocabulary.from_texts(self.train_pairs.texts, config.words)
            pieces = Tokenizer.from_str(described).get_vocab_size()
            self.model = Orma(replace(config.model, pieces=pieces))
            return described
        described, table = pretrained.adapted_vocabulary(self.train_pairs.texts, config.words)
        self.model = Orma(replace(config.model, pieces=len(table)))
        if config.model.use_transformer:
            pretrained.load_transformer(self.model.text.bert, table)
        return described

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        model, config = self.model, self.config
        transformer = list(model.text.bert.parameters())
        table = model.text.bag.weight
        known = {id(parameter) for parameter in (*transformer, table)}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in known]
        return {
            "dense": torch.optim.AdamW(
                [{"params": rest, "peak": "dense"}, {"params": transformer, "peak": "transformer"}],
                lr=0.0,
                weight_decay=config.weight_decay,
            ),
            "bag": torch.optim.SparseAdam([{"params": [table], "peak": "bag"}], lr=1e-9),
        }

    def _peaks(self, phase: Phase) -> dict[str, float]:
        config = self.config
        if phase.name == "lookup":
            return {"dense": config.lookup_rate, "bag": config.bag_rate, "transformer": 0.0}
        return {
            "dense": config.joint_rate,
            "bag": config.joint_bag_rate,
            "transformer": config.transformer_rate,
        }

    def _schedule(self) -> Iterator[tuple[Phase, int]]:
        for phase in self.phases:
            for epoch in range(phase.epochs):
                yield phase, epoch

    def _rows(self, phase: Phase, rng: np.random.Generator) -> np.ndarray:
        rows = np.arange(len(self.train_pairs))
        if phase.name == "joint" and self.names.any():
            rows = rows[~self.names | (rng.random(len(rows)) < self.config.names_share)]
        return rows

    def _new_order(self, phase: Phase) -> np.ndarray:
        rng = np.random.default_rng([self.config.seed, 2, self.epoch])
        rows = self._rows(phase, rng)
        seen = self.text_vectors[rows].abs().sum(1) > 0
        if not bool(seen.all()):
            return rng.permutation(rows)
        order = neighbour_groups(self.text_vectors[rows], self.molecule_vectors[rows], self.config.group, rng)
        return rows[order]

    def _steps(self, phase: Phase) -> int:
        share = self.config.names_share if phase.name == "joint" else 1.0
        rows = int((~self.names).sum() + share * self.names.sum())
        return max(rows // phase.batch, 1)

    def run(self, progress: Progress, resume: bool = False) -> dict[str, float]:
        """Train; returns the last measurements on the tuning slice."""
        folder = self.out / "checkpoint"
        if resume and checkpoint.exists(folder):
            self._restore(folder)
            progress.log(f"resumed at step {self.step}")
        total = sum(self._steps(phase) * phase.epochs for phase in self.phases)
        saved = time.monotonic()
        measured: dict[str, float] = {}
        for number, (phase, epoch) in enumerate(self._schedule()):
            if number < self.epoch:
                continue
            if not len(self.order):
                self.order = self._new_order(phase)
            batches = max(len(self.order) // phase.batch, 1)
            while self.position < batches:
                rows = self.order[self.position * phase.batch : (self.position + 1) * phase.batch]
                self._set_rates(phase, (epoch + self.position / batches) / phase.epochs)
                if phase.name == "lookup":
                    losses = self._lookup_step(rows, self._with_graph(phase, epoch))
                else:
                    losses = self._joint_step(rows)
                self.position += 1
                self.step += 1
                progress.update(self.step, max(total, self.step), **losses)
                if self.step % 20 == 0:
                    self._log({"step": self.step, "epoch": self.epoch, "phase": phase.name, **losses})
                if progress.stopping or time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self._save(folder)
                    saved = time.monotonic()
                    if progress.stopping:
                        return measured
            self.epoch, self.position, self.order = self.epoch + 1, 0, np.zeros(0, dtype=np.int64)
            measured = self.measure(phase, self._with_graph(phase, epoch))
            self._log({"step": self.step, "epoch": self.epoch, "phase": phase.name, **measured})
            progress.log(
                f"epoch {self.epoch} ({phase.name}): "
                + ", ".join(f"{k} {v:.3f}" for k, v in measured.items())
            )
        self._save(folder)
        return measured

    def _with_graph(self, phase: Phase, epoch: int) -> bool:
        late = phase.name == "joint" or epoch >= phase.epochs - self.config.graph_epochs
        return late or not self.config.model.use_fingerprints

    def _set_rates(self, phase: Phase, done: float) -> None:
        floor = 0.3 if phase.name == "lookup" else 0.02
        warm = min(1.0, done / 0.06 + 0.02)
        factor = warm * (floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)
        peaks = self._peaks(phase)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = max(peaks[group["peak"]] * factor, 1e-12)

    def _texts(self, rows: np.ndarray) -> TextBatch:
        rng = np.random.default_rng([self.config.seed, 3, self.step])
        texts = [
            drop_sentences(self.train_pairs.texts[row], self.config.sentence_dropout, rng) for row in rows
        ]
        batch, _ = self.tokenizer(texts)
        return drop_grams(batch, self.config.gram_dropout, rng).to(self.device)

    def _graphs(self, rows: np.ndarray) -> GraphBatch:
        return GraphBatch.build(self.molecules.packed.take(self.train_pairs.molecules[rows]), self.device)

    def _same(self, rows: np.ndarray, columns: np.ndarray) -> Tensor:
        keys, texts = self.key_numbers, self.text_numbers
        same = (keys[rows][:, None] == keys[columns]) | (texts[rows][:, None] == texts[columns])
        return torch.from_numpy(same).to(self.device)

    def _remember(self, rows: np.ndarray, texts: Tensor, molecules: Tensor) -> None:
        self.text_vectors[rows] = texts.detach().float().cpu()
        self.molecule_vectors[rows] = molecules.detach().float().cpu()

    def _lookup_step(self, rows: np.ndarray, with_graph: bool) -> dict[str, float]:
        self.model.train()
        rng = np.random.default_rng([self.config.seed, 3, self.step])
        texts = self._bag_vectors(drop_grams(self._bags(rows), self.config.gram_dropout, rng).to(self.device))
        graph = self._graphs(rows)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            if with_graph:
                vectors = self.model.encode_molecules(graph).vectors
            else:
                vectors = nn.functional.normalize(self.model.molecule.fingerprint_vectors(graph), dim=-1)
        loss = symmetric_contrast(self.model.scale(0) * texts @ vectors.T, self._same(rows, rows))
        self._update(loss)
        self._remember(rows, texts, vectors)
        return {"loss": loss.item(), "sentence": loss.item()}

    def _bags(self, rows: np.ndarray) -> TextBatch:
        """The n-grams of whole training texts, hashed once."""
        if not self._grams:
            self._grams = [ngrams.grams(text, self.config.model.buckets) for text in self.train_pairs.texts]
        found = [self._grams[row] for row in rows]
        starts = np.cumsum([0, *(len(each) for each in found[:-1])])
        none = torch.zeros(len(rows), 0)
        return TextBatch(
            none.long(), none.bool(), torch.from_numpy(np.concatenate(found)), torch.from_numpy(starts)
        )

    def _bag_vectors(self, batch: TextBatch) -> Tensor:
        return nn.functional.normalize(self.model.text.bag_vectors(batch), dim=-1)

    def _joint_step(self, rows: np.ndarray) -> dict[str, float]:
        self.model.train()
        model, config = self.model, self.config
        extra = self._extra_negatives(rows)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            texts = model.encode_texts(self._texts(rows))
            graph = self._graphs(np.concatenate([rows, extra]))
            molecules = model.encode_molecules(graph)
        sentence = texts.sentence @ molecules.vectors.T
        same = self._same(rows, np.concatenate([rows, extra]))
        parts = {"sentence": sentence_loss(model.scale(0) * sentence, same)}
        fine: dict[str, list[Tensor]] = {"phrase": [], "token": [], "combined": []}
        for first in range(0, len(rows), config.group):
            last = min(first + config.group, len(rows))
            if last - first < 2 or not (config.model.use_tokens or config.model.use_motifs):
                continue
            side = molecule_side(molecules, graph, first, last)
            phrase, token = model.fine_scores(text_side(texts, slice(first, last)), side)
            block = same[first:last, first:last]
            combined = model.combine(sentence[first:last, first:last], phrase, token)
            fine["combined"].append(symmetric_contrast(combined, block))
            if config.model.use_motifs:
                fine["phrase"].append(symmetric_contrast(model.scale(1) * phrase, block))
            if config.model.use_tokens:
                fine["token"].append(symmetric_contrast(model.scale(2) * token, block))
        parts |= {name: torch.stack(values).mean() for name, values in fine.items() if values}
        loss = torch.stack([getattr(config, f"{name}_weight") * value for name, value in parts.items()]).sum()
        self._update(loss)
        self._remember(rows, texts.sentence, molecules.vectors[: len(rows)])
        return {"loss": loss.item(), **{name: value.item() for name, value in parts.items()}}

    def _extra_negatives(self, rows: np.ndarray) -> np.ndarray:
        """Further training pairs whose molecules come nearest to the batch's texts, as last seen."""
        wanted = self.config.extra_negatives
        if not wanted:
            return np.zeros(0, dtype=np.int64)
        near = self.text_vectors[rows] @ self.molecule_vectors.T
        near[:, rows] = -2.0
        best = (
            near.topk(min(16, near.shape[1]), dim=1).indices.T.flatten().numpy()
        )  # every text's first, then second, …
        _, first = np.unique(best, return_index=True)
        return best[np.sort(first)][:wanted]

    def _update(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is {loss.item()} at step {self.step}; lower the learning rates")
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        dense = [
            p
            for group in self.optimizers["dense"].param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        nn.utils.clip_grad_norm_(dense, 1.0)
        for optimizer in self.optimizers.values():
            optimizer.step()

    @torch.no_grad()
    def measure(self, phase: Phase, with_graph: bool) -> dict[str, float]:
        """First-stage ranks of the tuning slice among its own molecules and the training molecules as last seen."""
        if not len(self.tuning):
            return {}
        self.model.eval()
        sentences, vectors = [], []
        for first in range(0, len(self.tuning), 64):
            part = self.tuning.take(np.arange(first, min(first + 64, len(self.tuning))))
            batch = self.tokenizer(part.texts)[0].to(self.device)
            if phase.name == "lookup":
                sentences.append(self._bag_vectors(batch).cpu())
            else:
                sentences.append(self.model.encode_texts(batch).sentence.cpu())
            graph = GraphBatch.build(self.molecules.packed.take(part.molecules), self.device)
            if with_graph:
                vectors.append(self.model.encode_molecules(graph).vectors.cpu())
            else:
                vectors.append(
                    nn.functional.normalize(self.model.molecule.fingerprint_vectors(graph), dim=-1).cpu()
                )
        own, keys = torch.cat(vectors), self.molecules.keys[self.tuning.molecules]
        _, distinct, places = np.unique(keys, return_index=True, return_inverse=True)
        seen = np.flatnonzero((self.molecule_vectors.abs().sum(1) > 0).numpy())
        seen = seen[np.unique(self.key_numbers[seen], return_index=True)[1]]
        pool = torch.cat(
            [own[distinct], self.molecule_vectors[seen]]
        )  # each molecule once: a twin of oneself is no rival
        found = ranks((torch.cat(sentences) @ pool.T).numpy(), places)
        return {
            name: value
            for name, value in summary(found, len(pool)).items()
            if name in ("hits@1", "hits@10", "mrr")
        }

    def _log(self, values: dict[str, object]) -> None:
        with (self.out / "metrics.jsonl").open("a") as handle:
            handle.write(json.dumps({"time": time.time(), **values}) + "\n")

    def _save(self, folder: Path) -> None:
        extra = {
            "order": torch.from_numpy(self.order),
            "text_vectors": self.text_vectors,
            "molecule_vectors": self.molecule_vectors,
        }
        meta = {"step": self.step, "epoch": self.epoch, "position": self.position}
        checkpoint.save(folder, self.model, self.optimizers, extra, meta)

    def _restore(self, folder: Path) -> None:
        meta, extra = checkpoint.load(folder, self.model, self.optimizers)
        self.step, self.epoch, self.position = meta["step"], meta["epoch"], meta["position"]
        self.order = extra["order"].numpy()
        self.text_vectors, self.molecule_vectors = extra["text_vectors"], extra["molecule_vectors"]


def sentence_loss(scores: Tensor, same: Tensor) -> Tensor:
    """Symmetric contrast of (n, n + extra) scores: the extra molecules count as negatives of the texts only."""
    size = len(scores)
    diagonal = torch.eye(size, scores.shape[1], dtype=torch.bool, device=scores.device)
    masked = scores.masked_fill(same & ~diagonal, -torch.inf)
    labels = torch.arange(size, device=scores.device)
    cross = nn.functional.cross_entropy
    return (cross(masked, labels) + cross(masked[:, :size].T, labels)) / 2


def drop_grams(batch: TextBatch, share: float, rng: np.random.Generator) -> TextBatch:
    """Leave out each n-gram with probability ``share``."""
    kept = torch.from_numpy(rng.random(len(batch.grams)) >= share)
    before = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])
    return TextBatch(batch.pieces, batch.mask, batch.grams[kept], before[batch.gram_starts])


def hash_text(text: str) -> str:
    """A text without case and outer space: two pairs with equal ones are not each other's negatives."""
    return " ".join(text.lower().split())


def train(
    config: RetrievalTraining,
    data: Sequence[Path],
    out: Path,
    progress: Progress,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, float]:
    """Train on the tables ``data`` into ``out``: features, checkpoints, ``metrics.jsonl`` and the finished model.

    Featurised molecules are kept in ``out/features``; a folder that already has them needs no RDKit work.

    Raises:
        InputError: a table cannot be read or holds too few usable rows.
        ModelError: the pretrained text encoder is not installed.
    """
    from mlcore.retrieval.data import featurise_all, load_molecules, read_table, save_molecules

    started = time.monotonic()
    resumed = resume and checkpoint.exists(out / "checkpoint")
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for path in data for row in read_table(path)]
    features = out / "features"
    if not (features / "names.npz").exists():
        progress.log(f"featurising the molecules of {len(rows)} rows")
        save_molecules(featurise_all([row.smiles for row in rows]), features)
    molecules = load_molecules(features)
    pairs, tuning = make_pairs(rows, molecules, config)
    progress.log(f"{len(pairs)} pairs to train on, {len(tuning)} in the tuning slice")
    trainer = Trainer(config, pairs, tuning, molecules, out, device)
    measured = trainer.run(progress, resume)
    if not progress.stopping:
        from mlcore.retrieval.model import save_model

        seconds = time.monotonic() - started
        facts = card.training(
            config, data, seed=config.seed, seconds=seconds, presets=PRESETS, resumed=resumed
        )
        save_model(trainer.model, trainer.tokenizer.described, out / "model", {"training": facts})
        progress.log(f"the model is in {out / 'model'}")
    return measured
