"""Pairs that do not match in vocabulary or context, and requests that are refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlcore.decoding import spectr, speculative
from mlcore.decoding.events import Done, Event
from mlcore.decoding.networks.llama import LlamaDecoder
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.runtime.errors import InputError, LimitError
from tests.mlcore.decoding.architectures import llama
from tests.mlcore.decoding.pairs import Pair
from tests.mlcore.decoding.runs import answers, law_of_answers
from tests.mlcore.decoding.test_speculation import METHODS, PAIR, PROMPTS, run
from tests.mlcore.decoding.toys import TableModel, distance, random_table, sequence_law

# --- vocabularies of different sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("slow", "quick"), [(61, 64), (64, 61), (64, 50)])
@pytest.mark.parametrize("method", METHODS)
def test_padded_vocabularies(method: str, slow: int, quick: int) -> None:
    """The target may say, and the prompt may hold, what the draft has no embedding for; never the other way round."""
    target, draft = (
        LlamaDecoder(llama(vocab_size=size, seed=seed), frozenset()) for size, seed in ((slow, 0), (quick, 1))
    )
    said = set()
    for seed in range(6):
        prompt = [slow - 1, 3]
        events = run(method, [prompt], Sampling(max_tokens=30), seed, pair=Pair(target, draft, PAIR.networks))
        (answer,) = answers(events)
        said |= set(answer)
    assert max(said) < slow
    assert slow <= quick or max(said) >= quick


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizes", [(3, 2), (2, 3)])
def test_the_law_is_exact_with_vocabularies_of_different_sizes(method: str, sizes: tuple[int, int]) -> None:
    tables = [random_table(5 + size, size) for size in sizes]
    known = sizes[1] - 1
    target = TableModel(tables[0], sizes[0])
    draft = TableModel(lambda context: tables[1](tuple(min(token, known) for token in context)), sizes[1])
    sampling = Sampling(max_tokens=3)

    def generate(source: Seeded) -> Iterator[Event]:
        if method in ("token", "block"):
            return speculative.generate(target, draft, [(1, 0)], sampling, 2, source, verification=method)
        return spectr.generate(target, draft, [(1, 0)], sampling, Drafting(2, 1, method), source)

    law = law_of_answers(generate)  # type: ignore[arg-type]
    assert distance(law, sequence_law(tables[0], (1, 0), 3)) < 1e-12


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []], [[1, 61]], [[-1]]])
def test_prompts_that_no_model_can_read_are_refused(prompts: list[list[int]]) -> None:
    for method in ("block", "batch"):
        with pytest.raises(InputError) as raised:
            next(run(method, prompts, Sampling()))
        assert raised.value.field == "prompt"


@pytest.mark.parametrize("contexts", [(64, 16), (16, 64)])
def test_a_prompt_beyond_the_context_of_either_model_is_refused(contexts: tuple[int, int]) -> None:
    target, draft = (LlamaDecoder(llama(max_position_embeddings=size), frozenset()) for size in contexts)
    pair = Pair(target, draft, PAIR.networks)
    with pytest.raises(LimitError, match="16"):
        next(run("batch", [[1] * 16], Sampling(), pair=pair))
    assert len(answers(run("batch", [[1] * 15], Sampling(max_tokens=3), pair=pair))[0]) == min(
        3, contexts[0] - 15
    )


@pytest.mark.parametrize("contexts", [(64, 16), (16, 64)])
def test_an_answer_goes_on_to_the_context_of_the_target(contexts: tuple[int, int]) -> None:
    target, draft = (LlamaDecoder(llama(max_position_embeddings=size), frozenset()) for size in contexts)
    for method in METHODS:
        events = list(
            run(
                method,
                [[1] * 10],
                Sampling(max_tokens=100),
                pair=Pair(target, draft, PAIR.networks),
                length=2,
            )
        )
        done = events[-1]
        assert isinstance(done, Done)
        assert (len(done.tokens), done.reason) == (contexts[0] - 10, "context")


def test_drafts_beyond_the_memory_are_refused() -> None:
    big = LlamaDecoder(
        llama(
            max_position_embeddings=2048,
            head_dim=64,
            num_attention_heads=16,
            num_key_value_heads=16,
            num_hidden_layers=8,
        ),
        frozenset(),
    )
    pair = Pair(big, PAIR.draft, PAIR.networks)
    with pytest.raises(LimitError, match="fewer or shorter drafts"):
        next(run("batch", [[1, 2]], Sampling(max_tokens=2000), drafts=64, length=64, pair=pair))


def test_impossible_parameters_are_refused() -> None:
    for drafts, length in ((0, 4), (2, 0)):
        with pytest.raises(InputError, match="one draft of one token"):
            next(run("batch", PROMPTS, Sampling(), drafts=drafts, length=length))
    with pytest.raises(InputError, match="one prompt at a time"):
        next(run("tree", PROMPTS, Sampling()))
    with pytest.raises(InputError, match="no verification"):
        speculative.generate(
            PAIR.target, PAIR.draft, PROMPTS, Sampling(), 3, Seeded(0), verification="typical"
        )
    with pytest.raises(InputError, match="top_p"):
        next(run("batch", PROMPTS, Sampling(top_p=0.0)))
