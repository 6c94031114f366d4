"""How the pair of language models is trained: one frozen dataclass, and its named instances."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlcore.runtime.options import option


@dataclass(frozen=True)
class Shape:
    """The size of a Llama-style model."""

    width: int = option(256, "of the hidden states", minimum=16, maximum=8192)
    layers: int = option(8, "of the network", minimum=1, maximum=128)
    heads: int = option(4, "of attention", minimum=1, maximum=128)
    inner: int = option(704, "width of the gated layer", minimum=16, maximum=65536)


@dataclass(frozen=True)
class LanguageTraining:
    """Parameters of a training run: first the target on the pairs, then the draft, distilled from it."""

    target: Shape = field(default_factory=Shape)
    draft: Shape = field(default_factory=lambda: Shape(width=128, layers=2, heads=2, inner=320))
    vocabulary: int = option(2560, "tokens, bracket atoms and markers included", minimum=300, maximum=100_000)
    context: int = option(
        512, "longest sequence in tokens; longer pairs are left out", minimum=32, maximum=8192
    )
    seed: int = option(0, "of everything random", minimum=0)
    tuning_share: float = option(0.02, "of the skeletons, held out for tuning", minimum=0.0, maximum=0.5)
    limit: int = option(0, "train on this many pairs at the most; 0 for all", minimum=0)
    molecules: int = option(0, "SMILES without text in an epoch, from tables without descriptions", minimum=0)
    epochs: float = option(
        2.5, "of the target; in one epoch every pair is read in both directions", minimum=0.0
    )
    batch: int = option(8192, "tokens in a step", minimum=64)
    rate: float = option(3e-3, "learning rate of the matrices (Muon)", minimum=0.0)
    vector_rate: float = option(3e-3, "that of embeddings and scales (AdamW)", minimum=0.0)
    weight_decay: float = option(0.05, "of the matrices", minimum=0.0)
    prompt_weight: float = option(0.3, "of predicting the question, the answer counting one", minimum=0.0)
    warmup: float = option(0.03, "share of the steps in which the rate rises", minimum=0.0, maximum=1.0)
    draft_epochs: float = option(0.4, "of the draft alone, on the pairs", minimum=0.0)
    distillation_epochs: float = option(0.8, "of the draft beside the target", minimum=0.0)
    draft_rate: float = option(4e-3, "learning rate of the draft", minimum=0.0)
    overlap_weight: float = option(
        0.7,
        "of 1 - sum min(draft, target) in distillation; the rest is the KL divergence",
        minimum=0.0,
        maximum=1.0,
    )
    checkpoint_minutes: float = option(5.0, "between two checkpoints", minimum=0.0)


PRESETS = {
    "cpu": LanguageTraining(),
    "small": LanguageTraining(
        target=Shape(width=64, layers=2, heads=2, inner=128),
        draft=Shape(width=32, layers=1, heads=1, inner=64),
        vocabulary=800,
        context=256,
        limit=2000,
        epochs=4.0,
        batch=2048,
    ),
    "gpu": LanguageTraining(
        target=Shape(width=512, layers=10, heads=8, inner=1408),
        draft=Shape(width=160, layers=2, heads=2, inner=448),
        vocabulary=4096,
        context=768,
        molecules=100_000,
        epochs=30.0,
        batch=32768,
        rate=2e-3,
        draft_epochs=10.0,
        distillation_epochs=4.0,
    ),
}
