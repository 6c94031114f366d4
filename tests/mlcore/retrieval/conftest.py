"""What the retrieval tests share."""

from __future__ import annotations

import pytest

from mlcore.retrieval.model import RetrievalModel
from tests.mlcore.retrieval.networks import save_small


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> RetrievalModel:
    """A real network with random weights, loaded from a model folder."""
    return save_small(tmp_path_factory.mktemp("model"))
