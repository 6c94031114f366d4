"""Products laid out for decoding give what the plain product gives, whatever the number of rows."""

from __future__ import annotations

import pytest
import torch

from mlcore.decoding.networks import products
from mlcore.decoding.networks.products import Product

SHAPES = [(1, 1), (1, 2), (1, 5), (3, 9), (8, 9), (2, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(48, 32), (32, 48), (33, 7)])
def test_a_product_is_the_plain_product(shape: tuple[int, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(size), torch.randn(*shape, size[1])
    found = Product(weight)(x)
    assert found.shape == (*shape, size[0])
    torch.testing.assert_close(found, x @ weight.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scale_stands_before_the_weight(rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    weight, scale, x = (torch.randn(*size, dtype=dtype) for size in ((6, 4), (4,), (rows, 4)))
    torch.testing.assert_close(Product(weight, scale)(x), (x * scale) @ weight.T, rtol=1e-5, atol=1e-6)


def test_only_float32_on_the_cpu_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert products.packed(torch.randn(8, 4, dtype=torch.float64)) is None
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert products.packed(torch.randn(8, 4)) is None
    x, weight = torch.randn(3, 4), torch.randn(8, 4)
    torch.testing.assert_close(Product(weight)(x), x @ weight.T)
