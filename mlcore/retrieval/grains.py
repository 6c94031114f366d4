"""The fine grains of ORMA in their corrected form: every pair scored from its own two members only.

A *pair block* is ``a`` texts against ``b`` molecules, all ``a x b`` pairs at once: the same ``b`` for every text, or
(molecule tensors with one more dimension ``a`` in front) each text against ``b`` molecules of its own. Padding never
takes part: shares are zero where masked, and the pooled maximum runs over real rows only. Against the released code:
masked marginals, the plan used as it is (soft) instead of its argmin, and softmax pooling with a real temperature
instead of min-max.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mlcore.transport import sparse
from mlcore.transport.proximal import ipot

#: how far from the best dual value a sparse plan may be, as a share of it
_GAP = 1e-3


@dataclass(frozen=True)
class TextSide:
    """The texts of a block, padded."""

    tokens: Tensor  # (a, tokens, fine) unit length
    phrases: Tensor  # (a, tokens, fine) unit length
    token_shares: Tensor  # (a, tokens) sums to one
    phrase_shares: Tensor  # (a, tokens) sums to one
    mask: Tensor  # (a, tokens) bool


@dataclass(frozen=True)
class MoleculeSide:
    """The molecules of a block, padded; (a, b, ...) instead of (b, ...) where each text has its own."""

    atoms: Tensor  # (b, atoms, fine) unit length
    atom_mask: Tensor  # (b, atoms) bool
    motifs: Tensor  # (b, motifs, fine) unit length
    motif_shares: Tensor  # (b, motifs) sums to one, zero where padded

    def each(self) -> MoleculeSide:
        """The same molecules as one of its own for each of ``b`` texts, (b, 1, ...)."""
        parts = (self.atoms, self.atom_mask, self.motifs, self.motif_shares)
        return MoleculeSide(*(part.unsqueeze(1) for part in parts))


def pad(rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Ragged rows (all, ...) with offsets (n + 1,) to (n, longest, ...) and a mask (n, longest)."""
    lengths = offsets[1:] - offsets[:-1]
    slots = torch.arange(int(lengths.max()), device=rows.device)
    mask = slots < lengths.unsqueeze(1)
    index = (offsets[:-1].unsqueeze(1) + slots).clamp(max=len(rows) - 1)
    return rows[index] * mask.view(*mask.shape, *[1] * (rows.dim() - 1)), mask


def token_atom(text: TextSide, molecule: MoleculeSide, sharpness: Tensor) -> Tensor:
    """Token-atom scores (a, b): each token's softmax-pooled cosine over the atoms, averaged by token share.

    ``s_ij = sum_t w_it sum_k softmax_k(sharpness * u_it.y_jk) u_it.y_jk`` (the pooled row of ORMA eq. 6-8 dotted
    with its token).
    """
    return torch.einsum("abt,at->ab", token_atom_parts(text, molecule, sharpness), text.token_shares)


def token_atom_parts(text: TextSide, molecule: MoleculeSide, sharpness: Tensor) -> Tensor:
    """What :func:`token_atom` averages: each token's pooled cosine, (a, b, tokens)."""
    alike = _cosines(text.tokens, molecule.atoms)
    mask = molecule.atom_mask.unsqueeze(-2)
    weights = torch.softmax((sharpness * alike).masked_fill(~mask, -1e4), dim=-1)
    return (weights * alike).sum(-1)


def transport(text: TextSide, molecule: MoleculeSide, *, steps: int) -> Tensor:
    """Plans of all pairs (a, b, tokens, motifs): token shares onto motif shares at cost ``1 - cosine``, by IPOT."""
    cost, rows, columns = _problems(text, molecule)
    plan = ipot(cost.flatten(0, 1), rows.flatten(0, 1), columns.flatten(0, 1), steps=steps).plan
    return plan.view(cost.shape)


def sparse_transport(text: TextSide, molecule: MoleculeSide, *, k: int, gamma: float) -> Tensor:
    """The same with at most ``k`` motifs for each token (Liu, Puigcerver and Blondel, ICLR 2023, arXiv 2209.15466).

    The plans are those of the dual: token shares are kept exactly, motif shares as nearly as ``k`` admits.
    """
    cost, rows, columns = _problems(text, molecule)
    solved = sparse.sparse_transport(
        cost.flatten(0, 1),
        rows.flatten(0, 1),
        columns.flatten(0, 1),
        gamma,
        k,
        side="rows",
        repair=False,
        gap=_GAP,
    )
    return solved.plan.view(cost.shape)


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """Of unit rows (a, t, d) with unit rows (b, k, d), or (a, b, k, d) for each of ``a`` its own: (a, b, t, k)."""
    return torch.einsum("atd,abkd->abtk" if right.dim() == 4 else "atd,bkd->abtk", left, right)


def _problems(text: TextSide, molecule: MoleculeSide) -> tuple[Tensor, Tensor, Tensor]:
    """Costs (a, b, tokens, motifs) and both marginals of all pairs of a block, without gradient."""
    cost = 1 - _cosines(text.phrases.detach(), molecule.motifs.detach())
    rows = text.phrase_shares.detach().unsqueeze(1).expand(cost.shape[:3])
    columns = molecule.motif_shares.detach().expand(*cost.shape[:2], cost.shape[3])
    return cost, rows, columns


def multitoken_motif(text: TextSide, molecule: MoleculeSide, plan: Tensor) -> Tensor:
    """Multitoken-motif scores (a, b).

    ``p_k = sum_t T_tk m_t`` is the phrase that transport brings to motif ``k`` (ORMA §III-C, soft plan); the score is
    the motif shares' average of ``cos(p_k, f_k)``. Gradients reach phrases and motifs, not the plan.
    """
    gathered = torch.einsum("abtk,atd->abkd", plan, text.phrases)
    alike = (F.normalize(gathered, dim=-1, eps=1e-6) * molecule.motifs).sum(-1)
    return (alike * molecule.motif_shares).sum(-1)


def mean_motif(text: TextSide, molecule: MoleculeSide) -> Tensor:
    """What :func:`multitoken_motif` becomes without transport: every motif meets the mean of all tokens (ablation)."""
    mean = F.normalize(torch.einsum("at,atd->ad", text.phrase_shares, text.phrases), dim=-1)
    centre = (molecule.motifs * molecule.motif_shares.unsqueeze(-1)).sum(-2)
    return torch.einsum("ad,abd->ab" if centre.dim() == 3 else "ad,bd->ab", mean, centre)
