"""The shape of the model, apart from the network: forms and command lines read it without loading torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from mlcore.runtime.options import option

if TYPE_CHECKING:
    from transformers import BertConfig


@dataclass(frozen=True)
class OrmaConfig:
    """Shape of the model. The switches exist for ablation; a shipped model has them all on."""

    dim: int = 384
    fine: int = 64
    pieces: int = 12000
    text_width: int = 384
    text_layers: int = 6
    text_heads: int = 12
    text_inner: int = 1536
    tokens: int = 160
    buckets: int = 32768
    bag_width: int = 256
    graph_width: int = 192
    graph_layers: int = 4
    hidden: int = 768
    dropout: float = 0.1
    transport_steps: int = 20
    motifs_per_token: int = option(
        0, "most motifs a token's mass may go to; 0 for no bound (IPOT)", minimum=0
    )
    transport_gamma: float = option(5.0, "weight of the quadratic term where there is a bound", minimum=1e-6)
    use_transformer: bool = True
    use_ngrams: bool = True
    use_graph: bool = True
    use_fingerprints: bool = True
    use_tokens: bool = True
    use_motifs: bool = True
    use_transport: bool = True

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> OrmaConfig:
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def bert(self) -> BertConfig:
        from transformers import BertConfig

        return BertConfig(
            attn_implementation="eager",  # on CPU in bfloat16 its backward pass is the fastest
            vocab_size=self.pieces,
            hidden_size=self.text_width,
            num_hidden_layers=self.text_layers,
            num_attention_heads=self.text_heads,
            intermediate_size=self.text_inner,
            max_position_embeddings=512,
            hidden_dropout_prob=0.0,  # left-out sentences and n-grams regularise, and cost nothing
            attention_probs_dropout_prob=0.0,
        )
