"""The fine grains: closed cases, padding and batch invariance, gradients to every level."""

import pytest
import torch

from mlcore.retrieval import grains
from mlcore.retrieval.grains import MoleculeSide, TextSide
from mlcore.retrieval.losses import symmetric_contrast
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.orma import Orma, molecule_side, text_side
from mlcore.retrieval.text import TextTokenizer
from tests.mlcore.retrieval.networks import SMALL, network, tokenizer_json
from tests.mlcore.retrieval.test_graphs import SMILES, packed

TEXTS = ["the molecule is an alcohol", "an amino acid", "a ring of roses, sweet", "acid"]


def unit(*rows: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def side(tokens: torch.Tensor) -> TextSide:
    shares = torch.full((1, len(tokens)), 1 / len(tokens))
    return TextSide(tokens[None], tokens[None], shares, shares, torch.ones(1, len(tokens), dtype=torch.bool))


def molecule(motifs: torch.Tensor) -> MoleculeSide:
    ones = torch.ones(1, len(motifs), dtype=torch.bool)
    return MoleculeSide(motifs[None], ones, motifs[None], torch.full((1, len(motifs)), 1 / len(motifs)))


def test_orthonormal_motifs_get_their_own_tokens() -> None:
    motifs = torch.eye(3)
    tokens = torch.cat([motifs, motifs])  # each motif's vector twice
    plan = grains.transport(side(tokens), molecule(motifs), steps=200)[0, 0]
    assert plan.argmax(1).tolist() == [0, 1, 2, 0, 1, 2]
    score = grains.multitoken_motif(side(tokens), molecule(motifs), plan[None, None])
    assert score.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("k", [1, 2])
def test_a_sparse_plan_sends_each_token_to_few_motifs(k: int) -> None:
    torch.manual_seed(0)
    tokens, motifs = (torch.nn.functional.normalize(torch.randn(n, 8), dim=1) for n in (20, 5))
    plan = grains.sparse_transport(side(tokens), molecule(motifs), k=k, gamma=5.0)[0, 0]
    assert (plan > 0).sum(1).max() <= k
    assert plan.sum(1).numpy() == pytest.approx(1 / 20, abs=1e-6)
    assert (plan > 0).any(0).all()  # every motif is told of


def test_the_configuration_chooses_the_plan() -> None:
    text, other = side(torch.eye(8)[:6]), molecule(torch.eye(8)[:3])
    free = network()
    bound = network(type(SMALL).from_dict(SMALL.to_dict() | {"motifs_per_token": 1}))
    assert (free.align(text, other)[0, 0] > 1e-9).sum(1).max() > 1
    assert (bound.align(text, other)[0, 0] > 0).sum(1).max() == 1


def test_token_atom_is_one_when_every_token_is_an_atom() -> None:
    atoms = torch.eye(4)
    score = grains.token_atom(side(atoms[[0, 2, 2]]), molecule(atoms), torch.tensor(1000.0))
    assert score.item() == pytest.approx(1, abs=1e-5)


def test_padding_changes_no_score() -> None:
    text, other = side(unit([1, 2], [3, 1], [0, 1])), molecule(unit([1, 0], [1, 1]))
    nothing = torch.zeros(1, 5, 2)
    wide_text = TextSide(
        *(torch.cat([value, nothing], 1) for value in (text.tokens, text.phrases)),
        *(torch.cat([value, torch.zeros(1, 5)], 1) for value in (text.token_shares, text.phrase_shares)),
        torch.cat([text.mask, torch.zeros(1, 5, dtype=torch.bool)], 1),
    )
    wide_other = MoleculeSide(
        torch.cat([other.atoms, nothing], 1),
        torch.cat([other.atom_mask, torch.zeros(1, 5, dtype=torch.bool)], 1),
        torch.cat([other.motifs, nothing], 1),
        torch.cat([other.motif_shares, torch.zeros(1, 5)], 1),
    )
    sharp = torch.tensor(8.0)
    assert grains.token_atom(wide_text, wide_other, sharp).allclose(
        grains.token_atom(text, other, sharp), atol=1e-6
    )
    plans = [grains.transport(t, m, steps=30) for t, m in ((text, other), (wide_text, wide_other))]
    assert plans[1][:, :, :3, :2].allclose(plans[0], atol=1e-6)
    scores = [
        grains.multitoken_motif(t, m, p)
        for t, m, p in ((text, other, plans[0]), (wide_text, wide_other, plans[1]))
    ]
    assert scores[1].allclose(scores[0], atol=1e-6)


def scores_of(model: Orma, texts: list[str], smiles: list[str]) -> torch.Tensor:
    batch, _ = TextTokenizer(tokenizer_json(), SMALL.tokens, SMALL.buckets)(texts)
    graph = GraphBatch.build(packed(smiles))
    states, drawn = model.encode_texts(batch), model.encode_molecules(graph)
    phrase, token = model.fine_scores(text_side(states), molecule_side(drawn, graph, 0, len(smiles)))
    return model.combine(states.sentence @ drawn.vectors.T, phrase, token)


def test_a_pairs_score_does_not_depend_on_the_rest_of_the_batch() -> None:
    model = network()
    with torch.no_grad():
        together = scores_of(model, TEXTS, SMILES)
        for i, text in enumerate(TEXTS):
            alone = torch.cat([scores_of(model, [text], [smiles]) for smiles in SMILES], 1)
            assert alone[0].allclose(together[i], atol=2e-4)


@pytest.mark.parametrize("grain", ["sentence", "phrase", "token"])
def test_every_grains_loss_reaches_the_first_message_layer(grain: str) -> None:
    model = network().train()
    batch, _ = TextTokenizer(tokenizer_json(), SMALL.tokens, SMALL.buckets)(TEXTS)
    graph = GraphBatch.build(packed(SMILES[:4]))
    states, drawn = model.encode_texts(batch), model.encode_molecules(graph)
    phrase, token = model.fine_scores(text_side(states), molecule_side(drawn, graph, 0, 4))
    scores = {"sentence": states.sentence @ drawn.vectors.T, "phrase": phrase, "token": token}[grain]
    symmetric_contrast(10 * scores, torch.eye(4, dtype=torch.bool)).backward()
    gradient = model.molecule.layers[0].mlp[0].weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_switched_off_grains_score_nothing() -> None:
    model = network(type(SMALL).from_dict(SMALL.to_dict() | {"use_tokens": False, "use_motifs": False}))
    text, other = side(torch.eye(8)[:3]), molecule(torch.eye(8)[:2])
    phrase, token = model.fine_scores(text, other)
    assert phrase.abs().sum() == 0
    assert token.abs().sum() == 0


def test_contrast_leaves_out_equal_pairs() -> None:
    scores = torch.tensor([[1.0, 9.0], [0.0, 1.0]])
    same = torch.tensor([[True, True], [False, True]])
    alone = symmetric_contrast(scores, torch.eye(2, dtype=torch.bool))
    assert symmetric_contrast(scores, same) < alone
