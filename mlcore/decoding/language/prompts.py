"""What a molecule language model is asked, in tokens: the two tasks that it is trained for.

text to SMILES: ``<bos><text>DESCRIPTION<smiles>`` is answered by ``SMILES<eos>``;
SMILES to text: ``<bos><smiles>SMILES<text>`` is answered by ``DESCRIPTION<eos>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from transformers import PreTrainedTokenizerBase

from mlcore.decoding.language.tokenizer import EOS, MARKERS, SMILES, TEXT
from mlcore.runtime.errors import InputError

Task = Literal[
    "molecule", "description"
]  #: what is to be found: the molecule for a text, or the text for a molecule
TASKS: tuple[Task, ...] = get_args(Task)


def plain_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """``text`` in tokens, markers in it read as the letters they are written with.

    Raises:
        InputError: a character is no character: half of a surrogate pair.
    """
    broken = next((place for place, letter in enumerate(text) if "\ud800" <= letter <= "\udfff"), None)
    if broken is not None:
        raise InputError(
            "The text holds half of a character.",
            field="prompt",
            place=f"character {broken + 1}",
            remedy="Take it out.",
        )
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def speaks_molecules(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether ``tokenizer`` has the markers of the two tasks; any other language model is asked in plain text."""
    return all(
        tokenizer.convert_tokens_to_ids(marker) not in (None, tokenizer.unk_token_id) for marker in MARKERS
    )


def prompt(tokenizer: PreTrainedTokenizerBase, task: Task, given: str) -> list[int]:
    """The tokens that ask for ``task`` about ``given``.

    Raises:
        InputError: nothing is given, it is no text (see :func:`plain_tokens`), or there is no such task.
    """
    if task not in TASKS:
        raise InputError(
            f"There is no task '{task}'.", field="task", remedy=f"Choose from {', '.join(TASKS)}."
        )
    given = given.strip()
    if not given:
        raise InputError(
            "There is nothing to answer.", field="prompt", remedy="Give a description or a SMILES."
        )
    first, second = (TEXT, SMILES) if task == "molecule" else (SMILES, TEXT)
    ids = tokenizer.convert_tokens_to_ids
    return [tokenizer.bos_token_id, ids(first), *plain_tokens(tokenizer, given), ids(second)]


def pair(tokenizer: PreTrainedTokenizerBase, task: Task, given: str, wanted: str) -> list[int]:
    """A whole training sequence: prompt, answer and ``<eos>``."""
    eos = tokenizer.convert_tokens_to_ids(EOS)
    return [*prompt(tokenizer, task, given), *plain_tokens(tokenizer, wanted.strip()), eos]


def answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of generated ``ids``: up to the end marker, without markers."""
    ids = list(ids)
    if tokenizer.eos_token_id in ids:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def shortened(ids: Sequence[int], room: int) -> list[int]:
    """``ids`` of a prompt with at most ``room`` tokens: what is asked about loses its end, the closing marker stays."""
    return list(ids) if len(ids) <= room else [*ids[: room - 1], ids[-1]]
