"""Which attention heads follow the lyrics: known for the published sizes, else said by a config.json or by hand."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInputError, UnsupportedCheckpointError
from ..files import parse_json
from ..networks.config import ModelConfig

LyricHeads = Mapping[int, tuple[int, ...]]  # query heads by layer

PUBLISHED: Mapping[tuple[int, int], LyricHeads] = MappingProxyType(  # by layers and heads
    {
        (24, 16): {2: (6,), 3: (10, 11), 4: (3,), 5: (8, 9), 6: (8,)},
        (32, 32): {3: (18, 27), 4: (22,), 5: (5, 6, 7), 6: (2, 12, 13), 7: (20, 21)},
    }
)
EXAMPLE = '{"2": [6], "3": [10, 11]}'


def lyric_heads(config: ModelConfig, said: Any = None, asked: str = "") -> LyricHeads:
    """The heads to read times from. said: by the checkpoint's config.json; asked: JSON that a user wrote."""
    if asked.strip():
        return typed(config, asked)
    found = read(said, config)
    if found is not None:
        return found
    size = config.num_hidden_layers, config.num_attention_heads
    if size not in PUBLISHED:
        raise UnsupportedCheckpointError(
            f"A transformer of {size[0]} layers with {size[1]} heads has no published lyric heads.",
            f"Use a published checkpoint, or name its heads by layer, such as {EXAMPLE}.",
        )
    return PUBLISHED[size]


def typed(config: ModelConfig, asked: str) -> LyricHeads:
    """What a user wrote."""
    try:
        heads = read(parse_json(asked.encode()), config)
    except ValueError:
        heads = None
    if heads is None:
        raise InvalidInputError(
            f"The heads {asked.strip()[:80]!r} are none of this checkpoint, which has {config.num_hidden_layers} layers "
            f"with {config.num_attention_heads} heads each.",
            f"Write JSON with layers and their heads, counted from 0, such as {EXAMPLE}, or leave it empty.",
        )
    return heads


def read(said: Any, config: ModelConfig) -> LyricHeads | None:
    """Layers and heads out of parsed JSON; None where they are none of this checkpoint."""
    if not isinstance(said, dict) or not said:
        return None
    heads: dict[int, tuple[int, ...]] = {}
    for layer, listed in said.items():
        number = int(layer) if isinstance(layer, str) and layer.isascii() and layer.isdigit() else -1
        if not 0 <= number < config.num_hidden_layers or not is_heads(listed, config.num_attention_heads):
            return None
        heads[number] = tuple(listed)
    return dict(sorted(heads.items()))


def is_heads(listed: Any, count: int) -> bool:
    """Whether this is a list of different heads below `count`."""
    return (
        isinstance(listed, list)
        and bool(listed)
        and all(type(head) is int and 0 <= head < count for head in listed)
        and len(set(listed)) == len(listed)
    )
