"""How retrieval is trained: one frozen dataclass, and its named instances."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mlcore.retrieval.config import OrmaConfig
from mlcore.runtime.options import option


@dataclass(frozen=True)
class RetrievalTraining:
    """Parameters of a training run.

    The run has two phases. *Lookup* aligns what is cheap (n-grams with molecules) in large batches; *joint* adds the
    transformer and the fine grains. From the second epoch on, batches are made of groups of near neighbours.
    """

    model: OrmaConfig = field(default_factory=OrmaConfig)
    seed: int = option(0, "of everything random", minimum=0)
    tuning_seed: int = option(
        0, "which skeletons are held out; kept apart so that seeds share one slice", minimum=0
    )
    tuning_share: float = option(0.03, "of the skeletons, held out for tuning", minimum=0.0, maximum=0.5)
    limit: int = option(0, "train on this many pairs at the most; 0 for all", minimum=0)
    pretrained: bool = option(True, "start the text encoder from all-MiniLM-L6-v2; otherwise from nothing")
    words: int = option(
        2500, "domain words added to the vocabulary (from nothing: its size)", minimum=0, maximum=200_000
    )
    group: int = option(16, "near neighbours that share a batch", minimum=1)
    lookup_epochs: int = option(8, "of the first phase: n-grams with molecules", minimum=0)
    graph_epochs: int = option(
        2, "how many of the lookup epochs, the last ones, pass messages as well", minimum=0
    )
    lookup_batch: int = option(512, "pairs in a step of the first phase", minimum=2)
    joint_epochs: int = option(3, "of the second phase: transformer and fine grains too", minimum=0)
    joint_batch: int = option(128, "pairs in a step of the second phase", minimum=2)
    extra_negatives: int = option(128, "further molecules that each text is held against", minimum=0)
    names_share: float = option(
        0.15, "of bare names (no sentence) in a joint epoch", minimum=0.0, maximum=1.0
    )
    sentence_dropout: float = option(0.1, "share of sentences left out", minimum=0.0, maximum=0.9)
    gram_dropout: float = option(0.1, "share of n-grams left out", minimum=0.0, maximum=0.9)
    lookup_rate: float = option(1e-3, "learning rate of the first phase", minimum=0.0)
    joint_rate: float = option(7e-4, "learning rate of the second phase", minimum=0.0)
    transformer_rate: float = option(1.5e-4, "that of the transformer", minimum=0.0)
    bag_rate: float = option(3e-3, "that of the n-grams in the first phase", minimum=0.0)
    joint_bag_rate: float = option(1e-3, "that of the n-grams in the second phase", minimum=0.0)
    weight_decay: float = option(0.01, "of all but the n-grams", minimum=0.0)
    sentence_weight: float = option(0.3, "of the sentence-molecule loss", minimum=0.0)
    phrase_weight: float = option(0.2, "of the multitoken-motif loss", minimum=0.0)
    token_weight: float = option(0.5, "of the token-atom loss", minimum=0.0)
    combined_weight: float = option(1.0, "of the loss on the combined score", minimum=0.0)
    shuffle_pairs: bool = option(False, "control experiment: molecules are permuted among the texts")
    checkpoint_minutes: float = option(5.0, "between two checkpoints", minimum=0.0)


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
