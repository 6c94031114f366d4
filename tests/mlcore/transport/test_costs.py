"""Ground costs against their definitions, finite differences, duality and closed proximal operators."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.runtime.errors import InputError
from mlcore.transport import pairwise
from mlcore.transport.costs import (
    COSTS,
    Cosine,
    Cost,
    Elastic,
    Euclidean,
    Geodesic,
    PNorm,
    SquaredEuclidean,
    StrictlyConvexCost,
    cost_named,
)

D = torch.float64
TRANSLATION_INVARIANT: list[Cost] = [
    SquaredEuclidean(),
    SquaredEuclidean(half=True),
    Euclidean(),
    PNorm(1),
    PNorm(1.5),
    PNorm(3),
    PNorm(1, power=True),
    PNorm(2, power=True),
    PNorm(2.5, power=True),
    Elastic(0.3),
    Elastic(0.3, "stvs"),
]
ALL: list[Cost] = [*TRANSLATION_INVARIANT, Cosine(), Geodesic(), Geodesic(squared=True)]
CONVEX: list[StrictlyConvexCost] = [
    SquaredEuclidean(),
    SquaredEuclidean(half=True),
    PNorm(1.5, power=True),
    PNorm(2, power=True),
    PNorm(3, power=True),
    Elastic(0.4),
    Elastic(0.4, "stvs"),
]


def points(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def stvs(z: float, strength: float) -> float:
    s = math.asinh(abs(z) / (2 * strength))
    return strength**2 * (s + 0.5 - 0.5 * math.exp(-2 * s))


def definition(cost: Cost, x: list[float], y: list[float]) -> float:
    z = [i - j for i, j in zip(x, y, strict=True)]
    match cost:
        case SquaredEuclidean(half=half):
            return sum(i * i for i in z) * (0.5 if half else 1)
        case Euclidean():
            return math.sqrt(sum(i * i for i in z))
        case PNorm(p=p, power=power):
            return sum(abs(i) ** p for i in z) ** (1 if power else 1 / p)
        case Elastic(strength=strength, kind=kind):
            tau = sum(strength * abs(i) if kind == "l1" else stvs(i, strength) for i in z)
            return 0.5 * sum(i * i for i in z) + tau
    cosine = sum(i * j for i, j in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)
    match cost:
        case Cosine():
            return 1 - cosine
        case Geodesic(squared=squared):
            return math.acos(cosine) ** (2 if squared else 1)
    raise AssertionError(cost)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_matrix_and_pairs_are_the_definition(cost: Cost) -> None:
    x, y = points(0, 4, 3), points(1, 5, 3)
    expected = torch.tensor([[definition(cost, i, j) for j in y.tolist()] for i in x.tolist()], dtype=D)
    assert cost.matrix(x, y).allclose(expected, atol=1e-12)
    assert cost.paired(x, y[:4]).allclose(expected[:, :4].diagonal(), atol=1e-12)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_batches_broadcast_and_types_are_kept(cost: Cost) -> None:
    x, y = points(2, 3, 4, 2), points(3, 5, 2)
    together = cost.matrix(x, y)
    assert together.shape == (3, 4, 5)
    assert together.allclose(torch.stack([cost.matrix(each, y) for each in x]), atol=1e-12)
    single = cost.matrix(x.float(), y.float())
    assert single.dtype == torch.float32
    assert single.double().allclose(together, atol=1e-4)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_gradients_match_finite_differences(cost: Cost) -> None:
    x, y = points(4, 2, 3, 2).requires_grad_(), points(5, 4, 2).requires_grad_()
    assert torch.autograd.gradcheck(cost.matrix, (x, y))
    assert torch.autograd.gradcheck(cost.paired, (x, y.detach()[:3].clone().requires_grad_()))


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_gradients_are_finite_at_equal_points_shared_coordinates_and_zero(cost: Cost) -> None:
    x, y = points(6, 4, 3), points(7, 4, 3)
    y[0], y[1, 2], y[2], x[3] = x[0], x[1, 2], 0, 0
    y[3] = -x[1]  # opposite points, where the angle is pi
    x.requires_grad_()
    y.requires_grad_()
    for value in (cost.matrix(x, y), cost.paired(x, y)):
        assert torch.isfinite(value).all()
        for gradient in torch.autograd.grad(value.sum(), (x, y)):
            assert torch.isfinite(gradient).all()
            assert gradient.abs().max() < 100
    same = x.detach().clone().requires_grad_()
    for gradient in torch.autograd.grad(cost.paired(same, same.detach().clone()).sum(), same):
        assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize(
    "cost", [SquaredEuclidean(), PNorm(1.5, power=True), PNorm(3, power=True), Cosine(), Geodesic()], ids=str
)
def test_gradcheck_passes_at_equal_points_where_the_cost_is_smooth(cost: Cost) -> None:
    x = points(8, 2, 3).requires_grad_()
    y = x.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(cost.paired, (x, y), atol=3e-3)
    assert torch.autograd.gradcheck(cost.matrix, (x, y), atol=3e-3)


@pytest.mark.parametrize("cost", TRANSLATION_INVARIANT, ids=str)
def test_a_common_shift_changes_nothing_even_far_from_the_origin(cost: Cost) -> None:
    x, y = points(9, 6, 4).float(), points(10, 7, 4).float()
    # differences of float32 points at 1000 are exact to 6e-5 each
    assert cost.matrix(x + 1000, y + 1000).allclose(cost.matrix(x, y), atol=5e-3)


def test_squared_distance_centres_before_it_multiplies() -> None:
    x = points(11, 50, 8).float() + 1000
    exact = (x.double().unsqueeze(1) - x.double()).square().sum(-1)
    centred = SquaredEuclidean().matrix(x, x)
    raw = (x.square().sum(1).unsqueeze(1) + x.square().sum(1) - 2 * x @ x.T).double()
    assert (centred.double() - exact).abs().max() < 1e-4
    assert (raw - exact).abs().max() > 0.1
    assert (centred >= 0).all()


@pytest.mark.parametrize("cost", CONVEX, ids=str)
def test_conjugate_gradient_inverts_the_gradient(cost: StrictlyConvexCost) -> None:
    assert isinstance(cost, StrictlyConvexCost)
    z = (3 * points(12, 6, 4)).requires_grad_()
    (slope,) = torch.autograd.grad(cost.paired(z, torch.zeros_like(z)).sum(), z)
    assert cost.conjugate_gradient(slope).allclose(z, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(p=st.floats(-4, 4), other=st.floats(-4, 4), kind=st.sampled_from(CONVEX))
def test_conjugate_gradient_attains_the_conjugate(p: float, other: float, kind: StrictlyConvexCost) -> None:
    def value(z: torch.Tensor) -> float:
        return p * z.item() - kind.paired(z.view(1, 1), torch.zeros(1, 1, dtype=D)).item()

    best = kind.conjugate_gradient(torch.tensor(p, dtype=D))
    assert value(best) >= value(torch.tensor(other, dtype=D)) - 1e-9


@pytest.mark.parametrize("cost", CONVEX, ids=str)
def test_conjugate_gradient_is_zero_at_zero_with_a_finite_derivative(cost: StrictlyConvexCost) -> None:
    p = torch.tensor([0.0, 0.4, -0.4, 1.0], dtype=D, requires_grad=True)
    image = cost.conjugate_gradient(p)
    assert image[0] == 0
    assert torch.isfinite(torch.autograd.grad(image.sum(), p)[0]).all()


def test_elastic_shrinkage_in_numbers() -> None:
    p = torch.tensor([-2.0, -0.3, 0.0, 0.5, 1.0], dtype=D)
    assert Elastic(0.5).conjugate_gradient(p).tolist() == [-1.5, 0, 0, 0, 0.5]
    assert Elastic(0.5, "stvs").conjugate_gradient(p).tolist() == [-1.875, 0, 0, 0, 0.75]


def test_costs_that_are_not_strictly_convex_say_so() -> None:
    for cost in (PNorm(3), PNorm(1, power=True)):
        with pytest.raises(ValueError, match="not strictly convex"):
            cost.conjugate_gradient(torch.zeros(2))
    assert not isinstance(Euclidean(), StrictlyConvexCost)
    assert not isinstance(Cosine(), StrictlyConvexCost)


def test_angles_on_the_sphere() -> None:
    x = torch.tensor([[1.0, 0, 0]], dtype=D)
    y = torch.tensor([[0, 2.0, 0], [1, 1, 0], [-3, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=D)
    floor = math.acos(1 - 1e-6)
    expected = [math.pi / 2, math.pi / 4, math.pi - floor, floor, math.pi / 2]
    assert Geodesic().matrix(x, y)[0].tolist() == pytest.approx(expected, abs=1e-9)
    assert Cosine().matrix(x, y)[0].tolist() == pytest.approx([1, 1 - math.sqrt(0.5), 2, 0, 1], abs=1e-12)


@pytest.mark.parametrize("cost", [PNorm(3), PNorm(2.5, power=True), Elastic(0.3, "stvs")], ids=str)
def test_tiles_change_nothing(cost: Cost, monkeypatch: pytest.MonkeyPatch) -> None:
    def values() -> list[torch.Tensor]:
        x, y = points(13, 2, 7, 3).requires_grad_(), points(14, 5, 3).requires_grad_()
        matrix = cost.matrix(x, y)
        return [matrix.detach(), *torch.autograd.grad((matrix * points(15, 2, 7, 5)).sum(), (x, y))]

    whole = values()
    monkeypatch.setitem(pairwise.TILE, "cpu", 20)
    for one, other in zip(whole, values(), strict=True):
        assert one.allclose(other, atol=1e-13)


def test_costs_by_name() -> None:
    assert cost_named("squared_euclidean", half=True) == SquaredEuclidean(half=True)
    assert cost_named("pnorm", p=3, power=True) == PNorm(3, power=True)
    assert cost_named("elastic", strength=0.1, kind="stvs") == Elastic(0.1, "stvs")
    assert {
        type(cost_named(name, **({"strength": 1.0} if name == "elastic" else {}))) for name in COSTS
    } == set(COSTS.values())


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("manhattan", {}, "no ground cost called 'manhattan'.*Use one of squared_euclidean, "),
        ("pnorm", {"q": 2}, "no parameter q.*It takes p, power"),
        ("cosine", {"p": 2}, "no parameter p.*It takes none"),
        ("pnorm", {"p": 0.5}, "p must be at least 1 and finite, got 0.5"),
        ("pnorm", {"p": math.inf}, "finite"),
        ("elastic", {}, "strength"),
        ("elastic", {"strength": -1.0}, "positive"),
        ("elastic", {"strength": 1.0, "kind": "l0"}, "'l1' or 'stvs'"),
    ],
)
def test_wrong_names_and_parameters_are_explained(name: str, parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cost_named(name, **parameters)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_points_of_different_dimension_are_refused(cost: Cost) -> None:
    with pytest.raises(ValueError, match="of one d"):
        cost.matrix(points(0, 3, 2), points(1, 3, 4))
