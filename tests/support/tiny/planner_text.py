"""Tokenizers for tests of the planner's words, as this package and as transformers read them."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from acestep_core.planner.grammar import ChoicePoint, Grammar, Walk
from acestep_core.text.tokenizer import TextTokenizer
from support.tiny import tokenizer as tiny_tokenizer

CODES = 64  # of the tiny vocabulary
CHAT_TEMPLATE = Path(__file__).parents[2] / "fixtures" / "qwen3_chat.jinja"  # of Qwen3, without its tools


@cache
def tiny() -> TextTokenizer:
    """The tiny vocabulary with a few codes."""
    return tokenizer_of(tiny_tokenizer.tokenizer_json(CODES))


def tokenizer_of(content: str) -> TextTokenizer:
    """A tokenizer out of the text of a `tokenizer.json`."""
    raw = json.loads(content)
    special = {token["content"]: token["id"] for token in raw["added_tokens"]}
    bare = raw | {"added_tokens": [], "post_processor": None}
    return TextTokenizer(Tokenizer.from_str(json.dumps(bare)), special)


@cache
def dense_json() -> str:
    """The tiny vocabulary with its special tokens right behind the others, as the official grammar needs them."""
    raw = json.loads(tiny_tokenizer.tokenizer_json(CODES, appends_end=False))
    vocabulary = raw["model"]["vocab"]
    ordinary = sum(token < tiny_tokenizer.FIRST_SPECIAL for token in vocabulary.values())
    gap = tiny_tokenizer.FIRST_SPECIAL - ordinary
    raw["model"]["vocab"] = {
        name: token if token < tiny_tokenizer.FIRST_SPECIAL else token - gap
        for name, token in vocabulary.items()
    }
    for token in raw["added_tokens"]:
        token["id"] -= gap
    return json.dumps(raw)


def whole(tokenizer: TextTokenizer) -> Tokenizer:
    """The same vocabulary as the official programs read it: control tokens are found in any text."""
    bpe = Tokenizer.from_str(tokenizer.bpe.to_str())
    bpe.add_tokens(
        [AddedToken(name, normalized=False) for _, name in sorted(tokenizer.special_names.items())]
    )
    assert all(bpe.token_to_id(name) == token for name, token in tokenizer.special_ids.items())
    return bpe


def peer_of(tokenizer: TextTokenizer) -> PreTrainedTokenizerFast:
    """The same vocabulary in transformers."""
    return PreTrainedTokenizerFast(
        tokenizer_object=whole(tokenizer), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )


def write_all(walks: Sequence[Walk], grammar: Grammar, seed: int, hurry: float) -> list[list[int]]:
    """Random logits lead all walks at once to their ends; the texts.

    The best of independent logits is any allowed token with equal chance, so the place of the best is drawn at once.
    hurry: how often only tokens that end something count, without which most captions would fill their room.
    """
    generator = torch.Generator().manual_seed(seed)
    texts: list[list[int]] = [[] for _ in walks]
    known: dict[ChoicePoint, Tensor] = {}  # those of the allowed ids that end something
    live = list(range(len(walks)))
    while live:
        members: dict[ChoicePoint, list[int]] = {}
        for index in live:
            follow_forced(walks[index], texts[index])
            if not walks[index].done:
                point = walks[index].choice()
                if point not in known:
                    ending = point.allowed[torch.isin(point.allowed, ending_tokens(grammar))]
                    known[point] = ending if len(ending) else point.allowed
                members.setdefault(point, []).append(index)
        for point, group in members.items():
            allowed, ending = point.allowed, known[point]
            draws = torch.rand(3, len(group), generator=generator)
            anything = allowed[(draws[0] * len(allowed)).long()]
            ends = ending[(draws[1] * len(ending)).long()]
            tokens = torch.where(draws[2] < hurry, ends, anything)
            for index, token in zip(group, tokens.tolist(), strict=True):
                walks[index].take(token)
                texts[index].append(token)
        live = [index for group in members.values() for index in group]
    return texts


def ending_tokens(grammar: Grammar) -> Tensor:
    """Tokens that end a line, a caption or a text."""
    return torch.tensor([*grammar.text.line_ends, *grammar.ends, *(ids[0] for ids in grammar.names.values())])


def follow_forced(walk: Walk, text: list[int]) -> None:
    """Take all that is forced."""
    for token in walk.forced():
        walk.take(token)
        text.append(token)
