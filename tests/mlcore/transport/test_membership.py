"""k-sequential selection: exact by enumeration, against the linear programme, by sampling, and wrong when broken."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import chisquare

from mlcore.transport.membership import (
    accept_probability,
    acceptance_probability,
    division_factor,
    one_try_acceptance,
    optimal_acceptance,
    output_law,
    residual,
    select,
)

D = torch.float64
Tokens = Sequence[int]


def law(*weights: float) -> torch.Tensor:
    weight = torch.tensor(weights, dtype=D)
    return weight / weight.sum()


def random_laws(seed: int, *shape: int, zeros: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    laws = torch.rand(2, *shape, generator=generator, dtype=D).pow(3)
    laws *= torch.rand(2, *shape, generator=generator, dtype=D) >= zeros
    laws[..., 0] += 1e-3
    laws /= laws.sum(-1, keepdim=True)
    return laws[0], laws[1]


def walk(
    p: torch.Tensor,
    q: torch.Tensor,
    k: int,
    *,
    rho: Callable[[Tokens], torch.Tensor],
    correction: Callable[[torch.Tensor], torch.Tensor],
    drawn: torch.Tensor | None = None,
    keep: Callable[[Tokens], Tokens] = tuple,
) -> tuple[torch.Tensor, float]:
    """The output law of K-SEQ summed over every tuple of drafts, and the probability that one is accepted.

    The rule is spelled out here without the module's formulas: tries in turn, then the correction.
    """
    drawn = p if drawn is None else drawn
    output, accepted = torch.zeros_like(q), 0.0
    for drafts in itertools.product(range(len(p)), repeat=k):
        reach = drawn[list(drafts)].prod()
        if reach == 0:
            continue
        factor = rho(keep(drafts))
        for x in keep(drafts):
            chance = min(1.0, (q[x] / (factor * p[x])).item())
            output[x] += reach * chance
            accepted += (reach * chance).item()
            reach = reach * (1 - chance)
        output += reach * correction(factor)
    return output, accepted


# --- one position, exactly -------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 4),
    k=st.integers(1, 3),
    zeros=st.sampled_from([0.0, 0.4]),
)
def test_every_tuple_of_drafts_sums_to_the_target(seed: int, tokens: int, k: int, zeros: float) -> None:
    p, q = random_laws(seed, tokens, zeros=zeros)
    rho = division_factor(p, q, k)
    output, accepted = walk(p, q, k, rho=lambda _: rho, correction=lambda r: residual(p, q, r))
    assert (output - q).abs().max() < 1e-12
    assert (output_law(p, q, k, rho) - q).abs().max() < 1e-12
    assert accepted == pytest.approx(acceptance_probability(p, q, k, rho).item(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 3), share=st.floats(0, 1))
def test_any_larger_factor_is_exact_too_and_accepts_less(seed: int, k: int, share: float) -> None:
    p, q = random_laws(seed, 4)
    best = division_factor(p, q, k)
    rho = best + share * (k - best)
    output, accepted = walk(p, q, k, rho=lambda _: rho, correction=lambda r: residual(p, q, r, k))
    assert (
        output - q
    ).abs().max() < 1e-9  # within a rounding of rho* the residual is taken to be that of rho*
    assert accepted <= acceptance_probability(p, q, k, best).item() + 1e-12


VECTORS = [  # p, q, k, rho*, acceptance, residual, optimum
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 1, 1.0, 0.7, (0, 0, 1), 0.7),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 2, 1.456776, 0.791355, (0, 0, 1), 0.86),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 3, 1.792593, 0.858519, (0, 0, 1), 0.988),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 4, 2.030036, 0.906007, (0, 0, 1), 1.0),
    ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 2, 1.638987, 0.591696, (0, 2 / 3, 1 / 3), 0.61),
    ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 4, 2.375506, 0.812652, (0, 2 / 3, 1 / 3), 0.8599),
    ((0.6, 0.3, 0.1), (0.5, 0.25, 0.25), 2, 1.340512, 0.884051, (0, 0, 1), 0.94),
    ((0.6, 0.3, 0.1), (0.5, 0.25, 0.25), 4, 1.875, 0.9375, (0, 0, 1), 1.0),
    ((0.5, 0.5), (1, 0), 5, 2 - 2**-4, 1 - 2**-5, (1, 0), 1 - 2**-5),
    ((1, 0), (0.5, 0.5), 2, 1.707107, 0.5, (0, 1), 0.5),
    ((1, 0), (0.5, 0.5), 6, None, 0.5, (0, 1), 0.5),
]


@pytest.mark.parametrize(("p", "q", "k", "factor", "acceptance", "correction", "optimum"), VECTORS)
def test_known_values(
    p: tuple, q: tuple, k: int, factor: float | None, acceptance: float, correction: tuple, optimum: float
) -> None:
    draft, target = law(*p), law(*q)
    rho = division_factor(draft, target, k)
    if factor is not None:
        assert rho.item() == pytest.approx(factor, abs=1e-6)
    assert acceptance_probability(draft, target, k, rho).item() == pytest.approx(acceptance, abs=1e-6)
    assert residual(draft, target, rho).tolist() == pytest.approx(correction, abs=1e-9)
    assert optimal_acceptance(draft, target, k).item() == pytest.approx(optimum, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_equal_and_disjoint_laws(k: int) -> None:
    p = law(0.2, 0.5, 0.3)
    rho = division_factor(p, p, k)
    assert (rho - 1) ** k < 1e-12  # the root is flat there, and harmless: 1 - p_acc = (1 - beta)^k
    assert acceptance_probability(p, p, k, rho).item() == pytest.approx(1, abs=1e-12)
    assert optimal_acceptance(p, p, k).item() == pytest.approx(1, abs=1e-12)
    assert output_law(p, p, k, rho).allclose(p, atol=1e-12)

    p, q = law(0.4, 0.6, 0, 0), law(0, 0, 0.7, 0.3)
    rho = division_factor(p, q, k)
    assert 1 <= rho <= k
    assert acceptance_probability(p, q, k, rho) == optimal_acceptance(p, q, k) == 0
    assert torch.equal(residual(p, q, rho), q)
    assert torch.equal(output_law(p, q, k, rho), q)


# --- identities and bounds -------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(2, 40), k=st.integers(1, 12))
def test_fixed_point_residual_and_guarantee(seed: int, tokens: int, k: int) -> None:
    p, q = random_laws(seed, tokens, zeros=0.2)
    rho, best = division_factor(p, q, k), optimal_acceptance(p, q, k).item()
    beta, accepted = one_try_acceptance(p, q, rho), acceptance_probability(p, q, k, rho).item()
    assert 1 <= rho <= k
    if beta > 1e-6:
        assert rho.item() == pytest.approx(sum((1 - beta.item()) ** i for i in range(k)), abs=1e-8)
        assert (rho * beta).item() == pytest.approx(accepted, abs=1e-10)
    if k == 2:
        assert rho.item() == pytest.approx(2 - beta.item(), abs=1e-10)
    missing = (q - rho * p).clamp(min=0)
    assert missing.sum().item() == pytest.approx(1 - accepted, abs=1e-10)
    if missing.sum() > 1e-9:
        assert residual(p, q, rho).allclose(missing / missing.sum(), atol=1e-12)
        assert residual(p, q, rho, k).allclose(missing / missing.sum(), atol=1e-6)
    assert accepted <= best + 1e-12
    assert accepted >= (1 - (1 - 1 / k) ** k) * best - 1e-12
    assert optimal_acceptance(p, q, k + 1).item() >= best - 1e-12
    more = division_factor(p, q, k + 1)
    assert acceptance_probability(p, q, k + 1, more).item() >= accepted - 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(1, 30))
def test_one_draft_is_the_maximal_coupling(seed: int, tokens: int) -> None:
    p, q = random_laws(seed, tokens, zeros=0.3)
    rho = division_factor(p, q, 1)
    overlap = 1 - 0.5 * (p - q).abs().sum().item()
    assert rho == 1
    assert acceptance_probability(p, q, 1, rho).item() == pytest.approx(overlap, abs=1e-12)
    assert optimal_acceptance(p, q, 1).item() == pytest.approx(overlap, abs=1e-12)


def test_the_validity_gap_does_not_decrease_and_crosses_zero_at_the_factor() -> None:
    p, q = random_laws(5, 12)
    k = 6
    rho = torch.linspace(1, k, 200, dtype=D)
    wide_p, wide_q = p.expand(200, -1), q.expand(200, -1)
    gap = rho * one_try_acceptance(wide_p, wide_q, rho) - acceptance_probability(wide_p, wide_q, k, rho)
    assert (gap.diff() >= -1e-14).all()
    best = division_factor(p, q, k)
    assert ((gap > 0) == (rho > best)).all()
    # below rho* the accepted part already exceeds the target somewhere, and no residual can mend it
    assert (output_law(p, q, k, 0.9 * best) - q).abs().max() > 1e-3


def couplings_of_the_linear_programme(p: np.ndarray, q: np.ndarray, k: int) -> float:
    """max sum of pi(x, y) over y in x, with the marginals p^k and q."""
    tuples = list(itertools.product(range(len(p)), repeat=k))
    gain = np.array([[float(y in x) for y in range(len(q))] for x in tuples])
    rows = np.kron(np.eye(len(tuples)), np.ones(len(q)))
    columns = np.tile(np.eye(len(q)), len(tuples))
    sums = np.concatenate([[np.prod(p[list(x)]) for x in tuples], q])
    equations = np.vstack([rows, columns])[:-1]  # the last follows from the others
    return -linprog(-gain.ravel(), A_eq=equations, b_eq=sums[:-1], method="highs").fun


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("tokens", [2, 3, 4])
def test_the_optimum_is_that_of_the_linear_programme(tokens: int, k: int) -> None:
    for seed in range(8):
        # whole weights: the cubed ones of the other tests fall below the solver's own tolerance
        weights = torch.randint(0, 8, (2, tokens), generator=torch.Generator().manual_seed(seed))
        p, q = (law(*(row + (row.sum() == 0)).tolist()) for row in weights)
        programme = couplings_of_the_linear_programme(p.numpy(), q.numpy(), k)
        assert optimal_acceptance(p, q, k).item() == pytest.approx(programme, abs=1e-9)


def test_acceptance_on_synthetic_logits() -> None:
    """Draft logits N(0, 9), target = draft + N(0, 1), against means noted over 100 other pairs: 4 standard errors."""
    generator = torch.Generator().manual_seed(0)
    noted = {
        (10, 1000): ((2, 0.878, 0.918), (4, 0.928, 0.966), (8, 0.961, 0.987)),
        (1000, 200): ((2, 0.774, 0.826), (4, 0.860, 0.936), (8, 0.938, 0.990)),
    }
    for (tokens, pairs), rows in noted.items():
        logits = 3 * torch.randn(pairs, tokens, generator=generator, dtype=D)
        q = (logits + torch.randn(pairs, tokens, generator=generator, dtype=D)).softmax(-1)
        p = logits.softmax(-1)
        for k, sequential, optimum in rows:
            accepted = acceptance_probability(p, q, k, division_factor(p, q, k))
            for values, mean in ((accepted, sequential), (optimal_acceptance(p, q, k), optimum)):
                error = values.std().item() * (1 / 100 + 1 / pairs) ** 0.5
                assert values.mean().item() == pytest.approx(mean, abs=4 * error)


# --- mistakes that the tests above must be able to see ---------------------------------------------------------------

P, Q = law(0.5, 0.3, 0.2), law(0.2, 0.3, 0.5)


def shortcut(rho: torch.Tensor) -> torch.Tensor:
    return residual(P, Q, rho)


def star(k: int) -> torch.Tensor:
    return division_factor(P, Q, k)


def softmaxed(rho: torch.Tensor) -> torch.Tensor:
    return (Q - rho * P).clamp(min=0).softmax(-1)


def distinct(drafts: Tokens) -> Tokens:
    return tuple(dict.fromkeys(drafts))


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        pytest.param({"rho": lambda _: torch.ones((), dtype=D)}, 0.150, id="independent single-draft tests"),
        pytest.param({"rho": lambda _: star(4)}, 0.117, id="the factor of four drafts for two"),
        pytest.param({"rho": lambda _: star(2), "drawn": P**2 / (P**2).sum()}, 0.080, id="drafts at temperature 1/2"),
        pytest.param({"rho": lambda _: star(2), "correction": softmaxed}, 0.129, id="softmax of the residual"),
        pytest.param({"rho": lambda x: star(len(x)), "keep": distinct}, 0.018, id="equal drafts merged"),
    ],
)  # fmt: skip
def test_wrong_rules_miss_the_target_by_known_amounts(rule: dict, error: float) -> None:
    output, _ = walk(P, Q, 2, **{"correction": shortcut, **rule})
    assert (output - Q).abs().max().item() == pytest.approx(error, abs=6e-4)


def test_a_stale_factor_with_the_true_number_of_drafts_is_exact_but_accepts_less() -> None:
    output, accepted = walk(P, Q, 2, rho=lambda _: star(4), correction=lambda r: residual(P, Q, r, 2))
    assert (output - Q).abs().max() < 1e-15
    assert accepted == pytest.approx(0.693, abs=5e-4)
    assert acceptance_probability(P, Q, 2, star(2)).item() == pytest.approx(0.791, abs=5e-4)


# --- selection -------------------------------------------------------------------------------------------------------

RUNS = 200_000


def sampled(
    p: torch.Tensor, q: torch.Tensor, k: int, rho: torch.Tensor, drawn: torch.Tensor, seed: int
) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    drafts = drawn.multinomial(RUNS * k, replacement=True, generator=generator).view(RUNS, k)
    uniforms = torch.rand(RUNS, k + 1, generator=generator, dtype=D)
    chosen = select(drafts, p.expand(RUNS, -1), q.expand(RUNS, -1), rho.expand(RUNS), uniforms)
    share = (chosen.accepted >= 0).double().mean().item()
    if drawn is p:
        expected = acceptance_probability(p, q, k, rho).item()
        assert share == pytest.approx(expected, abs=5 * (0.25 / RUNS) ** 0.5)
    return np.bincount(chosen.token.numpy(), minlength=len(q))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_sampled_tokens_follow_the_target(k: int) -> None:
    """Chi-square at level 1e-4 (the chance that a right sampler fails, had the seed been drawn anew)."""
    p, q = law(5, 3, 2, 1, 0, 4), law(2, 3, 5, 0.2, 1, 3)
    counts = sampled(p, q, k, division_factor(p, q, k), p, seed=k)
    assert chisquare(counts, RUNS * q.numpy()).pvalue > 1e-4


def test_the_same_sampling_rejects_wrong_rules() -> None:
    warped = P**2 / (P**2).sum()
    for rho, drawn in ((torch.ones((), dtype=D), P), (star(2), warped), (0.9 * star(2), P)):
        counts = sampled(P, Q, 2, rho, drawn, seed=0)
        assert chisquare(counts, RUNS * Q.numpy()).pvalue < 1e-10


def test_a_batch_with_different_numbers_of_drafts_is_the_loop_over_it() -> None:
    p, q = random_laws(3, 4, 5, 12, zeros=0.2)
    generator = torch.Generator().manual_seed(1)
    k = torch.randint(0, 5, (4, 5), generator=generator)
    drafts = p.flatten(0, 1).multinomial(4, replacement=True, generator=generator).view(4, 5, 4)
    uniforms = torch.rand(4, 5, 5, generator=generator, dtype=D)
    drafts = drafts.masked_fill(torch.arange(4) >= k.unsqueeze(-1), -7)  # what does not count is not read
    rho = division_factor(p, q, k)
    together = select(drafts, p, q, rho, uniforms, k)
    laws, best = output_law(p, q, k, rho), optimal_acceptance(p, q, k)
    assert laws.allclose(q, atol=1e-12)
    for i, j in itertools.product(range(4), range(5)):
        n = int(k[i, j])
        alone = division_factor(p[i, j], q[i, j], n)
        assert alone.item() == rho[i, j].item()
        assert optimal_acceptance(p[i, j], q[i, j], n).item() == pytest.approx(best[i, j].item(), abs=1e-14)
        used = torch.cat([uniforms[i, j, :n], uniforms[i, j, -1:]])
        one = select(drafts[i, j, :n], p[i, j], q[i, j], alone, used)
        assert one.token == together.token[i, j]
        assert one.accepted == together.accepted[i, j]
        assert (one.accepted == -1) == (n == 0 or bool(one.token not in drafts[i, j, :n]))


def test_the_first_accepted_draft_wins() -> None:
    p, q = law(1, 1, 2), law(1, 2, 1)
    rho = torch.ones((), dtype=D)  # chances 1, 1, 1/2
    drafts = torch.tensor([2, 2, 1, 0])

    def chosen(*uniforms: float) -> tuple[int, int]:
        token, accepted = select(drafts, p, q, rho, torch.tensor(uniforms, dtype=D), 4)
        return int(token), int(accepted)

    assert chosen(0.49, 0.1, 0.1, 0.1, 0.5) == (2, 0)
    assert chosen(0.5, 0.1, 0.1, 0.1, 0.5) == (2, 1)
    assert chosen(0.5, 0.9, 0.999, 0.1, 0.5) == (1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_token_without_mass_is_never_chosen(dtype: torch.dtype) -> None:
    p, q = law(1, 0, 0, 0, 0, 0).to(dtype), law(0, 0, 0.25, 0, 0.75, 0).to(dtype)
    rho = division_factor(p, q, 1)
    below_one = 1 - torch.finfo(dtype).eps / 2
    for uniform, token in ((0.0, 2), (0.2499, 2), (0.25, 4), (below_one, 4)):
        uniforms = torch.tensor([0.0, uniform], dtype=dtype)
        assert select(torch.tensor([0]), p, q, rho, uniforms) == (token, -1)


def test_without_a_counted_draft_the_target_is_sampled() -> None:
    p, q = law(3, 1), law(1, 3)
    rho = division_factor(p, q, 0)
    assert torch.equal(output_law(p, q, 0, rho), q)
    assert acceptance_probability(p, q, 0, rho) == optimal_acceptance(p, q, 0) == 0
    for uniform, token in ((0.1, 0), (0.3, 1)):
        uniforms = torch.tensor([0.0, uniform], dtype=D)
        assert select(torch.tensor([0]), p, q, rho, uniforms, 0) == (token, -1)


def test_chances_of_drafts_at_the_edges() -> None:
    p_x, q_x = (
        torch.tensor([0.5, 0.5, 0.0, 0.0, 0.2], dtype=D),
        torch.tensor([0.25, 0.0, 0.0, 0.1, 0.4], dtype=D),
    )
    rho = torch.full((5,), 1.25, dtype=D)
    assert accept_probability(p_x, q_x, rho).tolist() == [0.4, 0, 0, 1, 1]


def test_padding_the_vocabulary_changes_nothing() -> None:
    p, q = random_laws(9, 8)
    wide_p, wide_q = (torch.nn.functional.pad(each, (0, 5)) for each in (p, q))
    for k in (1, 3):
        rho = division_factor(p, q, k)
        assert division_factor(wide_p, wide_q, k).item() == pytest.approx(rho.item(), abs=1e-14)
        assert optimal_acceptance(wide_p, wide_q, k).item() == pytest.approx(
            optimal_acceptance(p, q, k).item()
        )
        padded = residual(wide_p, wide_q, rho)
        assert padded[:8].allclose(residual(p, q, rho), atol=1e-14)
        assert padded[8:].sum() == 0


@pytest.mark.parametrize("k", [1, 2, 8])
def test_single_precision_agrees(k: int) -> None:
    p, q = random_laws(10, 20, 1000, zeros=0.1)
    rho, narrow = division_factor(p, q, k), division_factor(p.float(), q.float(), k)
    assert narrow.dtype == torch.float32
    assert narrow.double().allclose(rho, atol=1e-5)
    accepted = acceptance_probability(p.float(), q.float(), k, narrow).double()
    assert accepted.allclose(acceptance_probability(p, q, k, rho), atol=1e-5)
    assert (output_law(p.float(), q.float(), k, narrow) - q).abs().sum(-1).max() < 1e-4
    assert (
        optimal_acceptance(p.float(), q.float(), k).double().allclose(optimal_acceptance(p, q, k), atol=1e-5)
    )


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match="pad the smaller vocabulary"):
        optimal_acceptance(law(1, 1), law(1, 1, 1), 2)
    with pytest.raises(ValueError, match="float32 or float64"):
        division_factor(P.half(), Q.half(), 2)
    with pytest.raises(ValueError, match="k must be an int"):
        division_factor(P, Q, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="k must be an int"):
        division_factor(P, Q, torch.tensor(1.5))
    with pytest.raises(ValueError, match="uniforms"):
        select(torch.tensor([0, 1]), P, Q, star(2), torch.zeros(2, dtype=D))
