"""The loss of a regularised fit: its two parts, their units, and its gradient."""

from __future__ import annotations

import pytest
import torch
from geomloss import SamplesLoss
from torch import Tensor

from mlcore.transport.costs import Cost, Euclidean, SquaredEuclidean
from mlcore.transport.maps import objectives
from mlcore.transport.maps.convex import ConvexPotential
from mlcore.transport.maps.forms import ConvexMap
from mlcore.transport.maps.model import MapConfig, MongeMap
from mlcore.transport.maps.monge import monge_gap
from mlcore.transport.maps.objectives import Clouds, RegularisedFit, SemiDual

STRENGTH, SHARE = 0.4, 0.1


def cloud(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def prepared(cost: str, strength: float = STRENGTH, scale: float = 1.0) -> tuple[RegularisedFit, MongeMap]:
    source, target, held, held_target = (
        scale * cloud(n, seed) for n, seed in ((60, 0), (50, 1), (20, 2), (20, 3))
    )
    torch.manual_seed(0)
    model = MongeMap(MapConfig(2, "free", width=8, cost=cost, start="identity")).double()
    model.fit_units(source, target)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    clouds = Clouds(source, target + 1, held, held_target)
    return RegularisedFit(clouds, model, strength=strength, fit_epsilon=SHARE, gap_epsilon=SHARE), model


ROWS, OTHERS = torch.arange(5, 35), torch.arange(10, 38)


@pytest.mark.parametrize(
    ("name", "ground"), [("squared_euclidean", SquaredEuclidean()), ("euclidean", Euclidean())]
)
def test_the_loss_is_the_divergence_and_the_gap_in_units_of_their_means(name: str, ground: Cost) -> None:
    """The fit is measured by the squared distance, whatever the cost of the gap."""
    fit, model = prepared(name)
    value, parts = fit.loss(model, ROWS, OTHERS)
    x, y = fit.source[ROWS], fit.target[OTHERS]
    squares = float(SquaredEuclidean().matrix(fit.source, fit.target).mean())
    costs = float(ground.matrix(fit.source, fit.target).mean())
    # geomloss halves the squares: with half of epsilon its value is half of ours
    theirs = SamplesLoss(
        "sinkhorn", p=2, blur=(SHARE * squares / 2) ** 0.5, scaling=0.99, backend="tensorized"
    )
    divergence = 2 * float(theirs(model.carry(x), y))
    gap = float(monge_gap(x, model.carry(x), ground, SHARE * costs, tolerance=1e-9).value)
    assert parts["divergence"] == pytest.approx(divergence, rel=5e-3)
    assert parts["gap"] == pytest.approx(gap, rel=5e-3)
    assert float(value.detach()) == pytest.approx(divergence / squares + STRENGTH * gap / costs, rel=5e-3)
    assert gap > 0.01 * costs  # the second term is not nothing here


def test_without_strength_the_loss_is_the_divergence_alone() -> None:
    fit, model = prepared("squared_euclidean", strength=0.0)
    value, parts = fit.loss(model, ROWS, OTHERS)
    assert "gap" not in parts
    assert float(value.detach()) == pytest.approx(parts["divergence"] / fit.fit_scale)
    assert "gap" in fit.held_out(model)  # it is reported all the same


def test_the_gradient_is_that_of_finite_differences() -> None:
    fit, model = prepared("squared_euclidean")
    parameters = [each for each in model.parameters() if each.requires_grad]
    slopes = torch.autograd.grad(fit.loss(model, ROWS, OTHERS)[0], parameters)
    draw = torch.Generator().manual_seed(9)
    steps = [torch.randn(each.shape, generator=draw, dtype=torch.float64) for each in parameters]

    def moved(size: float) -> float:
        with torch.no_grad():
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.add_(size * step)
        value = float(fit.loss(model, ROWS, OTHERS)[0].detach())
        with torch.no_grad():
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.sub_(size * step)
        return value

    expected = (moved(1e-3) - moved(-1e-3)) / 2e-3
    found = sum(float((slope * step).sum()) for slope, step in zip(slopes, steps, strict=True))
    assert found == pytest.approx(expected, rel=0.02)  # plans are met to 1e-3


def test_the_units_of_the_clouds_do_not_count() -> None:
    values = []
    for scale in (1.0, 100.0):
        fit, model = prepared("squared_euclidean", scale=scale)
        fit.target = fit.target - 1 + scale  # moved as far as the units are long
        fit = RegularisedFit(
            Clouds(fit.source, fit.target, fit.held_source, fit.held_target),
            model,
            strength=STRENGTH,
            fit_epsilon=SHARE,
            gap_epsilon=SHARE,
        )
        values.append(float(fit.loss(model, ROWS, OTHERS)[0].detach()))
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def semi_dual_fit() -> tuple[SemiDual, MongeMap]:
    source, target, held, held_target = (
        cloud(n, seed).float() for n, seed in ((60, 0), (50, 1), (20, 2), (20, 3))
    )
    torch.manual_seed(0)
    model = MongeMap(MapConfig(2, "convex", width=16))
    model.fit_units(source, target)
    assert isinstance(model.network, ConvexMap)
    return SemiDual(Clouds(source, target, held, held_target), model.network, steps=2), model


def test_poor_inverse_images_never_make_a_better_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound of what they miss, the value falls without end as they stray."""
    fit, model = semi_dual_fit()
    exact = fit.held_out(model)["score"]
    for far in (0.1, 1.0, 30.0):

        def astray(
            potential: ConvexPotential, y: Tensor, *_: object, far: float = far
        ) -> tuple[Tensor, Tensor]:
            z = y + far
            return z, (y - potential.gradient(z)).square().sum(1)

        monkeypatch.setattr(objectives, "inverse", astray)
        assert fit.held_out(model)["score"] > exact


def test_inverse_images_that_were_left_behind_catch_up() -> None:
    fit, model = semi_dual_fit()
    fit.inverses += 5
    _, parts = fit.loss(model, ROWS, OTHERS)
    assert parts["inverse_error"] <= 0.02
