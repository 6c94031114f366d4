"""How retrieval is trained: one frozen dataclass, and its named instances."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mlcore.retrieval.orma import OrmaConfig


@dataclass(frozen=True)
class RetrievalTraining:
    """Parameters of a training run.

    The run has two phases. *Lookup* aligns what is cheap (n-grams with molecules) in large batches; *joint* adds the
    transformer and the fine grains. From the second epoch on, batches are made of groups of near neighbours.
    """

    model: OrmaConfig = field(default_factory=OrmaConfig)
    seed: int = 0
    tuning_seed: int = 0  # which skeletons are held out; kept apart so that seeds share one slice
    tuning_share: float = 0.03
    limit: int = 0  # train on this many pairs at the most; 0 for all
    pretrained: bool = True  # start the text encoder from all-MiniLM-L6-v2; otherwise from nothing
    words: int = 2500  # domain words added to the vocabulary (from nothing: its size)
    group: int = 16
    lookup_epochs: int = 8
    graph_epochs: int = 2  # how many of the lookup epochs, the last ones, pass messages as well
    lookup_batch: int = 512
    joint_epochs: int = 3
    joint_batch: int = 128
    extra_negatives: int = 128
    names_share: float = 0.15  # of bare names (no sentence) in a joint epoch
    sentence_dropout: float = 0.1
    gram_dropout: float = 0.1
    lookup_rate: float = 1e-3
    joint_rate: float = 7e-4
    transformer_rate: float = 1.5e-4
    bag_rate: float = 3e-3
    joint_bag_rate: float = 1e-3
    weight_decay: float = 0.01
    sentence_weight: float = 0.3
    phrase_weight: float = 0.2
    token_weight: float = 0.5
    combined_weight: float = 1.0
    shuffle_pairs: bool = False  # control experiment: molecules are permuted among the texts
    checkpoint_minutes: float = 5.0


PRESETS = {
    "cpu": RetrievalTraining(),
    "small": RetrievalTraining(
        model=OrmaConfig(
            text_layers=2, buckets=16384, bag_width=128, graph_width=96, graph_layers=2, hidden=384
        ),
        limit=6000,
        lookup_epochs=6,
        graph_epochs=1,
        joint_epochs=2,
        joint_batch=64,
        extra_negatives=32,
    ),
    "gpu": RetrievalTraining(joint_epochs=30, joint_batch=256, extra_negatives=512, names_share=0.5),
}


def without(config: RetrievalTraining, *switches: str) -> RetrievalTraining:
    """``config`` with the named parts of the model (``graph``, ``tokens``, ``transport``, …) switched off."""
    return replace(config, model=replace(config.model, **{f"use_{name}": False for name in switches}))
