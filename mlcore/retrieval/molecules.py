"""The molecule encoder: message passing over the atom-motif-molecule graph, and count fingerprints beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlcore.retrieval import graphs
from mlcore.retrieval.fingerprints import WIDTH
from mlcore.retrieval.graphs import PackedMolecules


@dataclass(frozen=True)
class GraphBatch:
    """A packed batch as tensors. Nodes are numbered atoms first, then motifs, then one node a molecule."""

    atoms: Tensor  # (atoms, features) int64
    motifs: Tensor  # (motifs,) int64 sizes
    source: Tensor  # (edges,) int64
    target: Tensor  # (edges,) int64, ascending
    kind: Tensor  # (edges,) int64
    fingerprints: Tensor  # (molecules, WIDTH) float32
    atom_offsets: Tensor  # (molecules + 1,) int64
    motif_offsets: Tensor  # (molecules + 1,) int64

    @classmethod
    def build(cls, packed: PackedMolecules, device: torch.device | str = "cpu") -> GraphBatch:
        size = len(packed)
        parts, offsets = packed.parts, packed.offsets
        atom_start, motif_start = offsets["atoms"][:-1], offsets["motifs"][:-1]
        atom_total, motif_total = int(offsets["atoms"][-1]), int(offsets["motifs"][-1])

        def owners(name: str) -> np.ndarray:
            return np.repeat(np.arange(size), np.diff(offsets[name]))

        bonds = parts["bonds"].astype(np.int64)
        begin, end = (bonds[:, i] + atom_start[owners("bonds")] for i in (0, 1))
        members = parts["members"].astype(np.int64)
        owner = owners("members")
        atom = members[:, 0] + atom_start[owner]
        motif = members[:, 1] + motif_start[owner] + atom_total
        node = np.arange(motif_total) + atom_total
        whole = owners("motifs") + atom_total + motif_total
        source = np.concatenate([begin, end, atom, motif, node, whole])
        target = np.concatenate([end, begin, motif, atom, whole, node])
        kind = np.concatenate(
            [
                bonds[:, 2],
                bonds[:, 2],
                np.full(len(atom), graphs.ATOM_TO_MOTIF),
                np.full(len(atom), graphs.MOTIF_TO_ATOM),
                np.full(len(node), graphs.MOTIF_TO_MOLECULE),
                np.full(len(node), graphs.MOLECULE_TO_MOTIF),
            ]
        )
        dense = torch.zeros(size, WIDTH)
        dense[torch.from_numpy(owners("columns")), torch.from_numpy(parts["columns"].astype(np.int64))] = (
            torch.from_numpy(parts["values"].astype(np.float32))
        )

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(device)

        return cls(
            atoms=tensor(parts["atoms"]),
            motifs=tensor(parts["motifs"]),
            source=tensor(source),
            target=tensor(target),
            kind=tensor(kind),
            fingerprints=dense.to(device),
            atom_offsets=tensor(offsets["atoms"]),
            motif_offsets=tensor(offsets["motifs"]),
        )


@dataclass(frozen=True)
class MoleculeStates:
    """What the encoder makes of a batch."""

    vectors: Tensor  # (molecules, dim) unit length
    motifs: Tensor  # (motifs, fine) unit length
    atoms: Tensor  # (atoms, fine) unit length
    motif_weights: Tensor  # (motifs,) logits of each motif's share of the molecule


class HierarchicalLayer(nn.Module):
    """One round of messages along bonds and between levels: ``h + MLP(LN(h + sum relu(h_j + e_ij)))`` (GINE form)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edges = nn.Embedding(graphs.EDGE_VALUES, width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, nodes: Tensor, batch: GraphBatch) -> Tensor:
        messages = F.relu(nodes.index_select(0, batch.source) + self.edges(batch.kind))
        heard = nodes.index_add(0, batch.target, messages)
        return nodes + self.mlp(self.norm(heard))


class MoleculeEncoder(nn.Module):
    """Maps a :class:`GraphBatch` to one vector a molecule and to fine vectors of its motifs and atoms."""

    def __init__(
        self,
        dim: int,
        fine: int,
        width: int = 192,
        layers: int = 4,
        hidden: int = 768,
        dropout: float = 0.1,
        use_graph: bool = True,
        use_fingerprints: bool = True,
    ) -> None:
        super().__init__()
        self.use_graph, self.use_fingerprints = use_graph, use_fingerprints
        self.atom_features = nn.Embedding(graphs.ATOM_VALUES, width)
        self.motif_features = nn.Embedding(graphs.MOTIF_SIZES, width)
        self.molecule_feature = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(HierarchicalLayer(width) for _ in range(layers))
        self.final = nn.LayerNorm(width)
        self.to_atoms = nn.Linear(width, fine)
        self.to_motifs = nn.Linear(width, fine)
        self.motif_gate = nn.Linear(width, 1)
        self.to_vector = nn.Linear(width, dim)
        self.fingerprint = nn.Sequential(
            nn.Linear(WIDTH, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Dropout(dropout),
        )  # fmt: skip
        self.from_fingerprint = nn.Linear(hidden, dim)
        self.into_graph = nn.Linear(hidden, width)
        for table in (self.atom_features, self.motif_features, *(layer.edges for layer in self.layers)):
            nn.init.normal_(table.weight, std=0.1)  # type: ignore[union-attr, arg-type]

    def fingerprint_vectors(self, batch: GraphBatch) -> Tensor:
        """(molecules, dim) the vector's share from the fingerprints alone, not normalised."""
        return self.from_fingerprint(self.fingerprint(batch.fingerprints)).float()

    def forward(self, batch: GraphBatch) -> MoleculeStates:
        size = len(batch.fingerprints)
        motif_start = len(batch.atoms)
        whole_start = motif_start + len(batch.motifs)
        hashed = self.fingerprint(batch.fingerprints).float() if self.use_fingerprints else None
        whole = self.molecule_feature.expand(size, -1)
        if hashed is not None:
            whole = whole + self.into_graph(hashed)
        nodes = torch.cat([self.atom_features(batch.atoms).sum(1), self.motif_features(batch.motifs), whole])
        if self.use_graph:
            for layer in self.layers:
                nodes = layer(nodes, batch)
        nodes = self.final(nodes)
        atoms, motifs, whole = nodes[:motif_start], nodes[motif_start:whole_start], nodes[whole_start:]
        vector = self.to_vector(whole) if self.use_graph else torch.zeros(size, self.to_vector.out_features)
        if hashed is not None:
            vector = vector + self.from_fingerprint(hashed)
        return MoleculeStates(
            vectors=F.normalize(vector.float(), dim=-1),
            motifs=F.normalize(self.to_motifs(motifs).float(), dim=-1),
            atoms=F.normalize(self.to_atoms(atoms).float(), dim=-1),
            motif_weights=self.motif_gate(motifs).float().squeeze(-1),
        )
