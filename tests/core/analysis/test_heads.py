"""Which heads follow the lyrics: published ones by size, those of a config.json, those that somebody types."""

import pytest

from acestep_core.analysis.heads import PUBLISHED, lyric_heads
from acestep_core.errors import InvalidInputError, UnsupportedCheckpointError
from support.reference.oracle import SMALL, TURBO, XL_LIKE

CONFIGURED = {"3": [2, 0], "1": [1]}


def test_published_sizes_have_published_heads():
    assert lyric_heads(TURBO) == {2: (6,), 3: (10, 11), 4: (3,), 5: (8, 9), 6: (8,)}
    assert set(PUBLISHED) == {(24, 16), (32, 32)}
    assert PUBLISHED[32, 32] == {3: (18, 27), 4: (22,), 5: (5, 6, 7), 6: (2, 12, 13), 7: (20, 21)}


def test_other_sizes_are_refused_and_told_what_to_write():
    with pytest.raises(UnsupportedCheckpointError, match="4 layers with 4 heads has no published") as refusal:
        lyric_heads(SMALL)
    assert '{"2": [6]' in refusal.value.remedy


def test_a_config_comes_before_the_size_and_layers_are_in_order():
    assert list(lyric_heads(SMALL, CONFIGURED).items()) == [(1, (1,)), (3, (2, 0))]
    assert lyric_heads(TURBO, CONFIGURED) == lyric_heads(SMALL, CONFIGURED)


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        None,
        "2",
        {"24": [0]},
        {"-1": [0]},
        {"2": [16]},
        {"2": [-1]},
        {"2": []},
        {"2": [3, 3]},
        {"2": 3},
        {"2": [True]},
        {"two": [1]},
        {"\u0662": [1]},
        {2: [1]},
        {"2": [1.0]},
    ],
)
def test_a_config_that_makes_no_sense_is_as_none(said):
    assert lyric_heads(TURBO, said) == PUBLISHED[24, 16]
    with pytest.raises(UnsupportedCheckpointError):
        lyric_heads(XL_LIKE, said)


def test_what_is_typed_comes_first():
    assert lyric_heads(SMALL, CONFIGURED, ' {"0": [3]} ') == {0: (3,)}


@pytest.mark.parametrize("asked", ["nonsense", "{", "[]", '{"4": [0]}', '{"0": [4]}', "[" * 100_000])
def test_what_is_typed_wrongly_is_refused(asked):
    with pytest.raises(InvalidInputError, match="4 layers with 4 heads each"):
        lyric_heads(SMALL, None, asked)
