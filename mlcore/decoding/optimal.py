"""Selection that accepts as often as any can, for supports small enough to write its linear programme down.

The optimal transport with membership cost of Sun et al. (arXiv 2310.15141, section 3): couple the drafts, independent
from ``p``, with an output of law ``q`` so that ``P(Y in {X_1..X_k})`` is largest. The order of the drafts and how often
a token occurs do not matter to the cost, so a coupling is a flow ``pi(S, y)`` from the set ``S`` of drafted tokens to
one of them:

    maximise  sum_S sum_{y in S} pi(S, y)   where   sum_y pi(S, y) <= P(S),   sum_S pi(S, y) <= q(y)

What is left of both sides is coupled independently: after a rejection ``Y`` follows ``q(y) - sum_S pi(S, y)``,
normalised. A yardstick: K-SEQ comes within a few points of it at a small part of the cost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from scipy.sparse import coo_array
from torch import Tensor

from mlcore.decoding.randomness import Source
from mlcore.decoding.verification import Laws, Outcome, level_by_level
from mlcore.runtime.errors import InputError
from mlcore.transport.membership import EMPTY

FLOWS = (
    20_000  # variables of one programme: 141 tokens for two drafts, 34 for three, 19 for four, 11 for eight
)
_TOLERANCE = 1e-10

Tokens = tuple[int, ...]  # a set of tokens in rising order


class Coupling(NamedTuple):
    """``flows[S]`` (|S|,): how likely each token of S is to stand when the set of drafted tokens is S.

    Sets hold only tokens that the target may say.
    """

    flows: dict[Tokens, Tensor]
    residual: Tensor  # (V,) float64, after a rejection
    acceptance: float


def optimal_transport(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
    """K independent drafts, of which one stands at every level as often as the laws allow.

    Raises:
        InputError: the programme has more than ``FLOWS`` variables.
    """
    return level_by_level(drafts, p, q, source, _select)


def _select(tokens: Sequence[int], p: Tensor, q: Tensor, source: Source) -> tuple[int, bool]:
    plan = coupling(p, q, len(tokens))
    wanted = q.tolist()
    offered = tuple(sorted({token for token in tokens if wanted[token] > 0}))
    chances = plan.flows.get(offered, torch.zeros(1, dtype=torch.float64))
    if source.accept(float(chances.sum())):
        return offered[source.sample(chances.unsqueeze(0))[0]], True
    return source.sample(plan.residual.unsqueeze(0))[0], False


def coupling(p: Tensor, q: Tensor, k: int) -> Coupling:
    """The best coupling of ``k`` drafts from ``p`` (V,) with ``q`` (V,), solved by HiGHS.

    The solver's tolerance costs acceptance, less than 1e-9, never exactness: flows are cut back until both sides hold.

    Raises:
        InputError: the programme has more than ``FLOWS`` variables.
    """
    given, wanted = (law.double().cpu().numpy() / float(law.double().sum()) for law in (p, q))
    live = np.flatnonzero((given > 0) & (wanted > 0))
    count = len(live) * sum(math.comb(len(live) - 1, more) for more in range(k)) if len(live) else 0
    if count > FLOWS:
        raise InputError(
            f"The best coupling of {k} drafts over {len(live):,} tokens has {count:,} unknowns, "
            f"and {FLOWS:,} are solved.",
            field="rule",
            remedy="Set top_k to allow fewer tokens, ask for fewer drafts, or choose the rule 'kseq'.",
        )
    weights = dict(zip(live.tolist(), given[live].tolist(), strict=True))
    masses = set_masses(weights, float(given[wanted == 0].sum()), k)
    offered = [tokens for tokens, mass in masses.items() if tokens and mass > 0]
    mass = np.array([masses[tokens] for tokens in offered])
    sources = np.repeat(np.arange(len(offered)), [len(tokens) for tokens in offered])
    sinks = np.fromiter(itertools.chain.from_iterable(offered), dtype=np.int64, count=len(sources))
    flow = _largest_flow(sources, sinks, mass, wanted)
    shares = torch.from_numpy(flow / mass[sources]) if len(flow) else torch.empty(0)
    parts = shares.split([len(tokens) for tokens in offered]) if offered else ()
    left = np.clip(wanted - np.bincount(sinks, flow, len(wanted)), 0, None)
    left = left if left.sum() > EMPTY else wanted
    return Coupling(
        dict(zip(offered, parts, strict=True)), torch.from_numpy(left / left.sum()), float(flow.sum())
    )


def set_masses(weights: dict[int, float], elsewhere: float, k: int) -> dict[Tokens, float]:
    """``P(S)`` of every set S of at most ``k`` tokens: that ``k`` independent draws meet exactly S.

    A draw gives each token with its weight, and none of them with probability ``elsewhere``. Only sums of products of
    probabilities occur, so that small ones keep their digits.
    """
    masses: dict[Tokens, float] = {(): 1.0}
    for draws in range(1, k + 1):
        grown: dict[Tokens, float] = {}
        for size in range(min(draws, len(weights)) + 1):
            for tokens in itertools.combinations(sorted(weights), size):
                inside = elsewhere + sum(weights[token] for token in tokens)
                grown[tokens] = inside * masses.get(tokens, 0.0) + sum(
                    weights[token] * masses[tokens[:at] + tokens[at + 1 :]] for at, token in enumerate(tokens)
                )
        masses = grown
    return masses


def _largest_flow(sources: np.ndarray, sinks: np.ndarray, mass: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The flow along each edge (source, sink) that is largest in sum within ``mass`` and ``wanted``."""
    if not len(sources):
        return np.zeros(0)
    edges = np.arange(len(sources))
    rows, columns = np.concatenate([sources, len(mass) + sinks]), np.concatenate([edges, edges])
    shape = (len(mass) + len(wanted), len(edges))
    found = linprog(
        -np.ones(len(edges)),
        A_ub=coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr(),
        b_ub=np.concatenate([mass, wanted]),
        method="highs",
        options={"primal_feasibility_tolerance": _TOLERANCE, "dual_feasibility_tolerance": _TOLERANCE},
    )
    if found.x is None:
        raise RuntimeError(f"the solver of the coupling gave up: {found.message}")
    flow = np.clip(found.x, 0, None)
    for ends, most in ((sinks, wanted), (sources, mass)):
        total = np.bincount(ends, flow, len(most))
        flow *= np.minimum(1, np.divide(most, total, out=np.ones_like(most), where=total > 0))[ends]
    return flow
