"""How far a policy goes from a law, in nats: exact a token, accumulated over an answer, and the bounds of theory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Departure:
    """What one answer says about the KL divergence of its policy π from another law.

    Both sums have KL(π ‖ law) over whole answers as their expectation; ``divergence`` varies less.
    """

    divergence: float = 0.0  # Σ_t KL(π(·|s_t) ‖ law(·|s_t)), over all candidates
    log_ratio: float = 0.0  # Σ_t log π(z_t|s_t) / law(z_t|s_t), of what was chosen

    def add(self, policy: Tensor, log_law: Tensor, chosen: int) -> None:
        """One decision: ``policy`` (C,) over the candidates, ``log_law`` (C,) of the other law, and which it was.

        Infinite where the policy chooses what the law excludes.
        """
        self.divergence += divergence(policy, log_law)
        self.log_ratio += float(policy[chosen].log() - log_law[chosen])


def divergence(policy: Tensor, log_law: Tensor) -> float:
    """KL(π ‖ law) = Σ π log(π / law) over candidates (C,), outside of which π is zero."""
    likely = policy > 0
    chances = policy[likely]
    return max(0.0, float((chances * (chances.log() - log_law[likely])).sum()))


def policy_bound(tokens: int, span: float, alpha: float) -> float:
    """KL(π ‖ ρ_BL) ≤ T (r_max - r_min) / α of a policy of ``tokens`` tokens tilted by values within ``span``."""
    return tokens * span / alpha


def aligned_bound(tokens: int, span: float, alpha: float, beta: float) -> float:
    """KL(π ‖ ρ_sft) ≤ (1/β + T/α) (r_max - r_min), for a baseline aligned to a reward of the same span with β."""
    return span / beta + policy_bound(tokens, span, alpha)


def best_of_bound(samples: int) -> float:
    """KL(best of N ‖ law) ≤ log N - (N - 1) / N (Beirami et al., arXiv 2401.01879)."""
    return math.log(samples) - (samples - 1) / samples
