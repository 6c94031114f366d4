"""Maps: where they begin, what their form guarantees, and the linear map in closed form."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from mlcore.runtime.errors import InputError, ModelError
from mlcore.transport.costs import Elastic, Euclidean, PNorm, SquaredEuclidean
from mlcore.transport.maps.convex import ConvexPotential, inverse, semi_dual
from mlcore.transport.maps.forms import GradientField, Perceptron, StructuredMap
from mlcore.transport.maps.gaussian import gaussian_map, power
from mlcore.transport.maps.model import MapConfig, MongeMap
from mlcore.transport.maps.monge import exact_monge_gap


def cloud(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def jacobian(carry: object, x: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(carry, x)  # type: ignore[arg-type]


@pytest.fixture
def potential() -> ConvexPotential:
    torch.manual_seed(0)
    made = ConvexPotential(3, (16, 16, 8)).double()
    with torch.no_grad():  # away from the start, where everything is nearly quadratic
        for parameter in made.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return made


def test_closed_gradient_is_that_of_the_potential(potential: ConvexPotential) -> None:
    x = cloud(20, 3).double().requires_grad_()
    (slope,) = torch.autograd.grad(potential(x).sum(), x)
    assert torch.allclose(potential.gradient(x), slope, atol=1e-10)


def test_potential_is_strictly_convex(potential: ConvexPotential) -> None:
    for point in 3 * cloud(10, 3).double():
        hessian = jacobian(lambda x: potential.gradient(x[None])[0], point)
        assert torch.allclose(hessian, hessian.mT, atol=1e-10)
        assert float(torch.linalg.eigvalsh(hessian)[0]) > 0.01


def test_inverse_images_are_carried_back(potential: ConvexPotential) -> None:
    x = cloud(50, 3).double()
    y = potential.gradient(x).detach()
    found, error = inverse(potential, y, y.clone(), 300, 1e-16)
    assert float(error.max()) < 1e-14
    assert torch.allclose(found, x, atol=1e-4)


def test_semi_dual_is_least_for_the_true_potential(potential: ConvexPotential) -> None:
    """With the conjugate exact, ``E f + E f*`` is above ``E <x, T(x)>``, with equality for the potential of T."""
    x = cloud(400, 3).double()
    y = potential.gradient(x).detach()
    z, _ = inverse(potential, y, x.clone(), 50)
    best = semi_dual(potential, x, y, z)
    assert float(best.detach()) == pytest.approx(float((x * y).sum(1).mean()), rel=1e-9)
    torch.manual_seed(1)
    other = ConvexPotential(3, (16,)).double()
    z, _ = inverse(other, y, y.clone(), 300, 1e-16)
    assert float(semi_dual(other, x, y, z).detach()) > float(best.detach())


@pytest.mark.parametrize("dimension", [1, 2, 64])
def test_a_potential_begins_near_the_identity(dimension: int) -> None:
    torch.manual_seed(3)
    x = cloud(1000, dimension)
    moved = ConvexPotential(dimension, (64, 64)).gradient(x) - x
    assert float(moved.square().mean()) < 0.15


def test_gaussian_map_carries_the_moments_by_a_symmetric_matrix() -> None:
    x = cloud(500, 4) @ cloud(4, 4, 1) + 2
    y = cloud(300, 4, 2) @ cloud(4, 4, 3) - 1
    found = gaussian_map(x.double(), y.double())
    image = found(x.double())
    assert torch.allclose(found.matrix, found.matrix.mT, atol=1e-9)
    assert torch.allclose(image.mean(0), y.double().mean(0), atol=1e-9)
    assert torch.allclose(
        torch.cov(image.mT, correction=0), torch.cov(y.double().mT, correction=0), rtol=1e-3, atol=1e-3
    )
    assert float(exact_monge_gap(x.double(), image)) == pytest.approx(0, abs=1e-9)


def test_gaussian_map_bears_clouds_without_spread() -> None:
    x = torch.cat([cloud(50, 1), torch.ones(50, 1)], 1)
    assert torch.isfinite(gaussian_map(x, torch.zeros(40, 2)).matrix).all()
    assert torch.isfinite(gaussian_map(x, x + 1)(x)).all()


def test_power_of_a_matrix() -> None:
    matrix = cloud(3, 3).double()
    matrix = matrix @ matrix.mT + torch.eye(3)
    assert torch.allclose(power(matrix, 0.5) @ power(matrix, 0.5), matrix)
    assert torch.allclose(power(matrix, -1), torch.linalg.inv(matrix))


@pytest.mark.parametrize("kind", ["convex", "free"])
def test_maps_begin_near_the_linear_map(kind: str) -> None:
    torch.manual_seed(0)
    x, y = cloud(300, 3), 2 * cloud(300, 3, 1) + 5
    model = MongeMap(MapConfig(3, kind, width=32))
    model.fit_units(x, y)
    away = (model.carry(x) - model.linear(x)).square().sum(1).mean()
    assert float(away) < 0.15 * float(y.var(0).sum())


@pytest.mark.parametrize("cost", [SquaredEuclidean(), PNorm(1.5, power=True), Elastic(0.4)], ids=str)
def test_structured_maps_begin_at_the_identity_and_use_the_conjugate(cost: PNorm) -> None:
    torch.manual_seed(0)
    x = cloud(10, 2)
    field = Perceptron(2, (8,), 2)
    made = StructuredMap(2, cost, field)
    assert torch.allclose(made(x), x - cost.conjugate_gradient(field(x)))
    assert torch.allclose(made(x), x, atol=0.1)


def test_structured_map_with_the_gradient_of_a_concave_function_is_optimal() -> None:
    """``T = x - grad h*(grad phi)``, with phi c-concave: here phi = inf over few points of h(x - y) plus constants."""
    cost = PNorm(3, power=True)
    anchors, levels = cloud(5, 2, 1).double(), cloud(5, 1, 2).double()[:, 0]

    def phi(x: Tensor) -> Tensor:
        return (cost.matrix(x, anchors) + levels).amin(1)

    x = cloud(60, 2).double().requires_grad_()
    (slope,) = torch.autograd.grad(phi(x).sum(), x)
    mapped = (x - cost.conjugate_gradient(slope)).detach()
    assert torch.allclose(torch.cdist(mapped, anchors).amin(1), torch.zeros(60).double(), atol=1e-5)
    assert float(exact_monge_gap(x.detach(), mapped, cost)) == pytest.approx(0, abs=1e-6)


def test_conservative_fields_have_symmetric_jacobians() -> None:
    torch.manual_seed(0)
    field = GradientField(Perceptron(3, (16, 16), 1)).double()
    matrix = jacobian(lambda x: field(x[None])[0], cloud(1, 3)[0].double())
    assert torch.allclose(matrix, matrix.mT, atol=1e-10)
    free = Perceptron(3, (16, 16), 3).double()
    matrix = jacobian(lambda x: free(x[None])[0], cloud(1, 3)[0].double())
    assert not torch.allclose(matrix, matrix.mT, atol=1e-5)


def test_conservative_fields_can_be_trained_and_used_without_gradients() -> None:
    field = GradientField(Perceptron(2, (8,), 1))
    field(cloud(4, 2)).square().sum().backward()
    assert all(each.grad is not None for each in field.parameters() if each.dim() == 2)
    with torch.no_grad():
        assert not field(cloud(4, 2)).requires_grad


def test_sphere_maps_stay_on_the_sphere() -> None:
    model = MongeMap(MapConfig(3, "sphere", width=8, cost="geodesic"))
    assert torch.allclose(model.carry(cloud(20, 3)).norm(dim=1), torch.ones(20))


@pytest.mark.parametrize(
    "config",
    [
        MapConfig(3, "convex", width=8),
        MapConfig(3, "conservative", width=8, cost="pnorm", parameter=1.5),
        MapConfig(3, "structured", width=8, cost="elastic", parameter=0.2),
        MapConfig(3, "sphere", width=8, cost="geodesic"),
        MapConfig(3, "free", width=8, cost="euclidean"),
    ],
    ids=lambda config: config.kind,
)
def test_a_map_comes_back_from_its_folder_to_the_bit(config: MapConfig, tmp_path) -> None:
    torch.manual_seed(0)
    model = MongeMap(config)
    model.fit_units(cloud(100, 3), cloud(100, 3, 1) + 1)
    model.save(tmp_path, {"what": "a map"})
    back = MongeMap.load(tmp_path)
    assert asdict(back.config) == asdict(config)
    assert torch.equal(back.carry(cloud(20, 3, 2)), model.carry(cloud(20, 3, 2)))


def test_damaged_folders_are_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="not a complete model"):
        MongeMap.load(tmp_path)
    MongeMap(MapConfig(2, width=4)).save(tmp_path, {})
    (tmp_path / "config.json").write_text('{"tokens": 3}')
    with pytest.raises(ModelError, match="no Monge map"):
        MongeMap.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="sha256"):
        MongeMap.load(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        MapConfig(2, "convex", cost="euclidean"),
        MapConfig(2, "structured", cost="euclidean"),
        MapConfig(2, "conservative", cost="pnorm", parameter=1.0),
        MapConfig(2, "bent"),
        MapConfig(2, "free", start="middle"),
        MapConfig(2, "free", cost="taxi"),
    ],
)
def test_maps_that_do_not_fit_their_cost_are_refused(config: MapConfig) -> None:
    with pytest.raises(InputError) as fault:
        MongeMap(config)
    assert fault.value.field
    assert fault.value.remedy


def test_only_strictly_convex_costs_have_structured_maps() -> None:
    with pytest.raises(ValueError, match="strictly convex"):
        StructuredMap(2, Euclidean(), Perceptron(2, (4,), 2))
    assert math.isfinite(float(StructuredMap(2, Elastic(1.0), Perceptron(2, (4,), 2))(cloud(3, 2)).sum()))
