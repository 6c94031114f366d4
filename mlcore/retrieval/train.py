"""Training ORMA: two phases, hard negatives, resumable, deterministic for a seed; by one process or several.

Several processes (see :mod:`mlcore.runtime.distributed`) share each batch: every one encodes its own part of it, the
sentence and molecule vectors are gathered with their gradient, and each computes the loss of the whole score matrix.
The fine grains only ever meet within groups of near neighbours, so batches are cut between groups and a process scores
its own groups whole: no ragged array has to travel. The same batches, left-out sentences and n-grams, negatives, losses
and gradients result whatever the number of processes; only the network's dropout is drawn apart for each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from mlcore.retrieval import ngrams, pretrained, schedule, vocabulary
from mlcore.retrieval.batches import neighbour_groups
from mlcore.retrieval.data import Molecules
from mlcore.retrieval.inputs import Inputs
from mlcore.retrieval.losses import sentence_loss, symmetric_contrast
from mlcore.retrieval.molecules import GraphBatch, MoleculeStates
from mlcore.retrieval.orma import Orma, molecule_side, text_side
from mlcore.retrieval.pairs import Pairs, is_name, make_pairs
from mlcore.retrieval.presets import PRESETS, RetrievalTraining
from mlcore.retrieval.schedule import Phase
from mlcore.retrieval.text import TextBatch, TextStates, TextTokenizer
from mlcore.retrieval.tuning import first_stage
from mlcore.runtime import card, checkpoint, distributed
from mlcore.runtime.curves import Curves
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress, Progress

#: of each text, so many near molecules are looked at in search of further negatives
_REACH = 16


class Losses(NamedTuple):
    """What a forward pass leaves: the loss to descend, its parts, and the vectors of the whole batch to remember."""

    loss: Tensor  # ()
    parts: dict[str, Tensor]
    texts: Tensor  # (n, dim) without gradient
    molecules: Tensor  # (n, dim) without gradient


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
        precision: torch.dtype = torch.bfloat16,
    ) -> None:
        """``precision`` is that of matrix products: bfloat16, or float32, which is exact and slower.

        Raises:
            InputError: more processes than groups of neighbours in a batch.
        """
        self.config, self.train_pairs, self.tuning, self.molecules = config, train, tuning, molecules
        self.out, self.device, self.precision = out, device, precision
        torch.manual_seed(config.seed)
        described = self._start()
        weights = ngrams.document_weights(train.texts, config.model.buckets)
        self.model.text.gram_weights.copy_(torch.from_numpy(weights))  # type: ignore[operator]
        self.model.to(device)
        self.tokenizer = TextTokenizer(described, config.model.tokens, config.model.buckets)
        self.phases = schedule.phases(config)
        self.optimizers = schedule.optimizers(self.model, config)
        self._dense = [p for group in self.optimizers["dense"].param_groups for p in group["params"]]
        for phase in self.phases:
            self._shares(phase, min(phase.batch, len(train)))
        self._forward = distributed.replicated(self._dense)
        self.inputs = Inputs(config, train, molecules, self.tokenizer, device)
        self.names = np.array([is_name(text) for text in train.texts])
        # each pair's vectors when it was last seen: they choose the next epoch's groups and the extra negatives
        self.text_vectors = torch.zeros(len(train), config.model.dim)
        self.molecule_vectors = torch.zeros(len(train), config.model.dim)
        self.step = self.epoch = self.position = 0
        self.order = np.zeros(0, dtype=np.int64)
        self.measured: dict[str, float] = {}
        self.curves = Curves(out / "metrics.jsonl")

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

    def _shares(self, phase: Phase, rows: int) -> list[slice]:
        """The part of a batch of ``rows`` that each process encodes; in the joint phase made of whole groups."""
        unit = self.config.group if phase.name == "joint" else 1
        found = distributed.shares(rows, unit)
        if distributed.active() and any(part.start == part.stop for part in found):
            raise InputError(
                f"A {phase.name} batch of {rows} pairs, in groups of {unit}, has no work for each of "
                f"{len(found)} processes.",
                field=f"{phase.name}_batch",
                remedy=f"Make it at least {unit * len(found)}, or start fewer processes.",
            )
        return found

    def _new_order(self, phase: Phase) -> np.ndarray:
        rng = np.random.default_rng([self.config.seed, 2, self.epoch])
        rows = np.arange(len(self.train_pairs))
        if phase.name == "joint" and self.names.any():
            rows = rows[~self.names | (rng.random(len(rows)) < self.config.names_share)]
        if not self._seen()[rows].all():
            return rng.permutation(rows)
        order = neighbour_groups(self.text_vectors[rows], self.molecule_vectors[rows], self.config.group, rng)
        return rows[order]

    def _seen(self) -> np.ndarray:
        """Which pairs have been met at all: (pairs,) bool."""
        return self.molecule_vectors.any(1).numpy()

    def _steps(self, phase: Phase) -> int:
        share = self.config.names_share if phase.name == "joint" else 1.0
        rows = int((~self.names).sum() + share * self.names.sum())
        return max(rows // phase.batch, 1)

    def run(self, progress: Progress, resume: bool = False) -> dict[str, float]:
        """Train; returns the last measurements on the tuning slice.

        Several processes call this together. ``progress`` is asked and told on the first one; a stop that it asks for
        ends all of them after the same step.

        Raises:
            InputError: the processes do not see the same checkpoint.
            DiskFull: a checkpoint has no room; the one before it is still there.
        """
        folder = self.out / "checkpoint"
        if resume and checkpoint.exists(folder):
            self._restore(folder)
            progress.log(f"resumed at step {self.step}")
        distributed.agree(
            (self.step, self.epoch, self.position),
            "The processes do not see the same checkpoint.",
            "Put --out on storage that all machines share.",
        )
        if distributed.main():
            self.curves.cut(self.step, self.epoch)
        total = sum(self._steps(phase) * phase.epochs for phase in self.phases)
        saved = time.monotonic()
        for number, (phase, epoch) in enumerate(schedule.epochs(self.phases)):
            if number < self.epoch:
                continue
            if not len(self.order):
                self.order = distributed.from_main(partial(self._new_order, phase))
            batches = max(len(self.order) // phase.batch, 1)
            while self.position < batches:
                rows = self.order[self.position * phase.batch : (self.position + 1) * phase.batch]
                done = (epoch + self.position / batches) / phase.epochs
                schedule.set_rates(self.optimizers, self.config, phase, done)
                losses = self._advance(phase, rows, self._with_graph(phase, epoch))
                self.position += 1
                self.step += 1
                reached = self.epoch + self.position / batches
                progress.update(self.step, max(total, self.step), epoch=reached, **losses)
                if self.step % 20 == 0:
                    self._log(phase, losses)
                stopping = distributed.from_main(lambda: progress.stopping)
                if stopping or time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self._save(folder)
                    saved = time.monotonic()
                    if stopping:
                        return self.measured
            self.epoch, self.position, self.order = self.epoch + 1, 0, np.zeros(0, dtype=np.int64)
            self.measured = distributed.from_main(partial(self._measure, phase, epoch))
            self._log(phase, self.measured)
            progress.update(self.step, max(total, self.step), epoch=float(self.epoch), **self.measured)
            progress.log(
                f"epoch {self.epoch} ({phase.name}): "
                + ", ".join(f"{k} {v:.3f}" for k, v in self.measured.items())
            )
        self._save(folder)
        return self.measured

    def _with_graph(self, phase: Phase, epoch: int) -> bool:
        late = phase.name == "joint" or epoch >= phase.epochs - self.config.graph_epochs
        return late or not self.config.model.use_fingerprints

    def _advance(self, phase: Phase, rows: np.ndarray, with_graph: bool) -> dict[str, float]:
        """One step on the batch ``rows``; its losses, those of the whole batch."""
        self.model.train()
        if distributed.active():  # each process has rows of its own, and dropout of its own for them
            seeds = (self.config.seed, 4, self.step, distributed.rank())
            torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
        parts = self._shares(phase, len(rows))
        if phase.name == "lookup":
            found = self._forward(lambda: self._lookup(rows, parts, with_graph))
        else:
            self.inputs.forget_grams()
            extra = self._extra_negatives(rows, parts)
            found = self._forward(lambda: self._joint(rows, extra, parts))
        losses = distributed.means({"loss": found.loss, **found.parts})
        self._update(found.loss, losses["loss"])
        self.text_vectors[rows] = found.texts.float().cpu()
        self.molecule_vectors[rows] = found.molecules.float().cpu()
        return losses

    def _lookup(self, rows: np.ndarray, parts: list[slice], with_graph: bool) -> Losses:
        own = rows[parts[distributed.rank()]]
        texts = self._bag_vectors(self.inputs.grams(self.step, own))
        graph = self.inputs.graphs(own)
        with self._autocast():
            if with_graph:
                vectors = self.model.encode_molecules(graph).vectors
            else:
                vectors = nn.functional.normalize(self.model.molecule.fingerprint_vectors(graph), dim=-1)
        texts, vectors = self._gather(texts, vectors, parts, _none(parts))
        loss = symmetric_contrast(self.model.scale(0) * texts @ vectors.T, self.inputs.same(rows, rows))
        return Losses(loss, {"sentence": loss.detach()}, texts.detach(), vectors.detach())

    def _joint(self, rows: np.ndarray, extra: np.ndarray, parts: list[slice]) -> Losses:
        model, config, rank = self.model, self.config, distributed.rank()
        further = distributed.shares(len(extra))
        with self._autocast():
            texts = model.encode_texts(self.inputs.texts(self.step, rows, parts[rank]))
            graph = self.inputs.graphs(np.concatenate([rows[parts[rank]], extra[further[rank]]]))
            molecules = model.encode_molecules(graph)
        sentences, vectors = self._gather(texts.sentence, molecules.vectors, parts, further)
        scores = sentences @ vectors.T
        same = self.inputs.same(rows, np.concatenate([rows, extra]))
        losses = {"sentence": sentence_loss(model.scale(0) * scores, same)}
        losses |= self._fine(texts, molecules, graph, scores, same, parts[rank])
        loss = torch.stack(
            [getattr(config, f"{name}_weight") * value for name, value in losses.items()]
        ).sum()
        told = {name: value.detach() for name, value in losses.items()}
        return Losses(loss, told, sentences.detach(), vectors[: len(rows)].detach())

    def _fine(
        self,
        texts: TextStates,
        molecules: MoleculeStates,
        graph: GraphBatch,
        scores: Tensor,
        same: Tensor,
        own: slice,
    ) -> dict[str, Tensor]:
        """Losses of the fine grains and of the combined score over this process's groups of neighbours.

        ``texts``, ``molecules`` and ``graph`` are this process's; ``scores`` and ``same`` (n, n + extra) those of the
        whole batch. The mean over the processes of what each returns is the mean over all groups.
        """
        model, config = self.model, self.config
        found: dict[str, list[Tensor]] = {"phrase": [], "token": [], "combined": []}
        if not (config.model.use_tokens or config.model.use_motifs):
            return {}
        for first in range(own.start, own.stop, config.group):
            last = min(first + config.group, own.stop)
            if last - first < 2:
                continue
            here = slice(first - own.start, last - own.start)
            side = molecule_side(molecules, graph, here.start, here.stop)
            phrase, token = model.fine_scores(text_side(texts, here), side)
            block = same[first:last, first:last]
            combined = model.combine(scores[first:last, first:last], phrase, token)
            found["combined"].append(symmetric_contrast(combined, block))
            if config.model.use_motifs:
                found["phrase"].append(symmetric_contrast(model.scale(1) * phrase, block))
            if config.model.use_tokens:
                found["token"].append(symmetric_contrast(model.scale(2) * token, block))
        whole, rest = divmod(len(same), config.group)
        groups = (whole if config.group > 1 else 0) + (rest > 1)
        return {
            name: torch.stack(values).mean() * (len(values) * distributed.world() / groups)
            for name, values in found.items()
            if values
        }

    def _gather(
        self, texts: Tensor, vectors: Tensor, parts: list[slice], further: list[slice]
    ) -> tuple[Tensor, Tensor]:
        """Sentence vectors (n, dim) and molecule vectors (n + extra, dim) of the whole batch, in its order.

        ``texts`` are those of this process, ``vectors`` the molecules of its pairs and of its extra negatives.
        """
        if not distributed.active():
            return texts, vectors
        pairs, extra = ([part.stop - part.start for part in of] for of in (parts, further))
        counts = [2 * a + b for a, b in zip(pairs, extra, strict=True)]
        found = distributed.gather_with_gradient(torch.cat([texts, vectors]), counts).split(counts)
        pieces = [rows.split([a, a, b]) for rows, a, b in zip(found, pairs, extra, strict=True)]
        sentences, own, more = (torch.cat(column) for column in zip(*pieces, strict=True))
        return sentences, torch.cat([own, more])

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == torch.bfloat16)

    def _bag_vectors(self, batch: TextBatch) -> Tensor:
        return nn.functional.normalize(self.model.text.bag_vectors(batch), dim=-1)

    def _extra_negatives(self, rows: np.ndarray, parts: list[slice]) -> np.ndarray:
        """Further training pairs whose molecules come nearest to the batch's texts, as last seen.

        Each process looks for those of its own texts.
        """
        wanted = self.config.extra_negatives
        if not wanted:
            return np.zeros(0, dtype=np.int64)
        near = self.text_vectors[rows[parts[distributed.rank()]]] @ self.molecule_vectors.T
        near[:, rows] = -2.0
        own = near.topk(min(_REACH, near.shape[1]), dim=1).indices.numpy()
        # every text's first, then second, …
        best = np.concatenate(distributed.gathered(own)).T.flatten()
        _, first = np.unique(best, return_index=True)
        return best[np.sort(first)][:wanted]

    def _update(self, loss: Tensor, value: float) -> None:
        """Descend along the gradient of ``loss``, whose mean over the processes is ``value``."""
        if not np.isfinite(value):
            raise RuntimeError(f"the loss is {value} at step {self.step}; lower the learning rates")
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        distributed.average_sparse(self.model.text.bag.weight)
        nn.utils.clip_grad_norm_([p for p in self._dense if p.grad is not None], 1.0)
        for optimizer in self.optimizers.values():
            optimizer.step()

    def _measure(self, phase: Phase, epoch: int) -> dict[str, float]:
        """Ranks of the tuning slice among its own molecules and the training molecules as last seen."""
        seen = np.flatnonzero(self._seen())
        seen = seen[np.unique(self.inputs.key_numbers[seen], return_index=True)[1]]
        return first_stage(
            self.model, self.tokenizer, self.tuning, self.molecules, self.molecule_vectors[seen],
            with_text=phase.name == "joint", with_graph=self._with_graph(phase, epoch),
        )  # fmt: skip

    def _log(self, phase: Phase, values: dict[str, float]) -> None:
        if distributed.main():
            self.curves.append(self.step, self.epoch, phase=phase.name, **values)

    def _save(self, folder: Path) -> None:
        """Write a checkpoint, once: it holds everything, for any number of processes to go on from."""
        if not distributed.main():
            return
        extra = {
            "order": torch.from_numpy(self.order),
            "text_vectors": self.text_vectors,
            "molecule_vectors": self.molecule_vectors,
        }
        places = {"step": self.step, "epoch": self.epoch, "position": self.position}
        checkpoint.save(folder, self.model, self.optimizers, extra, {**places, "measured": self.measured})

    def _restore(self, folder: Path) -> None:
        meta, extra = checkpoint.load(folder, self.model, self.optimizers)
        self.step, self.epoch, self.position = meta["step"], meta["epoch"], meta["position"]
        self.measured = meta.get("measured", {})
        self.order = extra["order"].numpy()
        self.text_vectors, self.molecule_vectors = extra["text_vectors"], extra["molecule_vectors"]


def _none(parts: list[slice]) -> list[slice]:
    return [slice(0, 0) for _ in parts]


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

    Featurised molecules are kept in ``out/features``; a folder that already has them needs no RDKit work. Several
    processes call this together, with the same arguments and with ``data`` and ``out`` that all of them see; the first
    one writes, and only its ``progress`` is used.

    Raises:
        InputError: a table cannot be read or holds too few usable rows, or the processes were given different things.
        ModelError: the pretrained text encoder is not installed.
        DiskFull: a checkpoint has no room; the one before it is still there.
    """
    from mlcore.retrieval.data import featurise_all, load_molecules, read_table, save_molecules

    started = time.monotonic()
    if not distributed.main():
        progress = NullProgress()
    resumed = resume and checkpoint.exists(out / "checkpoint")
    rows = [row for path in data for row in read_table(path)]
    features = out / "features"
    if distributed.main():
        out.mkdir(parents=True, exist_ok=True)
        if not (features / "names.npz").exists():
            progress.log(f"featurising the molecules of {len(rows)} rows")
            save_molecules(featurise_all([row.smiles for row in rows]), features)
    distributed.barrier()
    molecules = load_molecules(features)
    pairs, tuning = make_pairs(rows, molecules, config)
    distributed.agree(
        (json.dumps(asdict(config)), hash(tuple(pairs.molecules.tolist())), len(pairs), len(tuning)),
        "The processes were given different tables or parameters.",
        "Start every one with the same arguments, with --data and --out on storage that all machines share.",
    )
    progress.log(f"{len(pairs)} pairs to train on, {len(tuning)} in the tuning slice")
    trainer = Trainer(config, pairs, tuning, molecules, out, device)
    measured = trainer.run(progress, resume)
    if distributed.main() and not progress.stopping:
        from mlcore.retrieval.model import save_model

        seconds = time.monotonic() - started
        facts = card.training(
            config, data, seed=config.seed, seconds=seconds, presets=PRESETS, resumed=resumed
        )
        if distributed.world() > 1:
            facts["processes"] = distributed.world()
        save_model(trainer.model, trainer.tokenizer.described, out / "model", {"training": facts})
        progress.log(f"the model is in {out / 'model'}")
    return measured
