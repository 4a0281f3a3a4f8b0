"""How strongly an adapter acts on which layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.adapters.scales import EVEN, AdapterScales, LayerSpan, layers_of, require_strength
from acestep_core.errors import InvalidInputError

GROUPS = AdapterScales(self_attn=0.1, cross_attn=0.2, mlp=0.3, other=0.4)


@pytest.mark.parametrize(
    ("weight", "factor"),
    [
        ("layers.0.self_attn.q_proj.weight", 0.1),
        ("layers.3.cross_attn.o_proj.weight", 0.2),
        ("layers.1.mlp.up_proj.weight", 0.3),
        ("condition_embedder.weight", 0.4),
        ("layers.1.self_attn_norm.weight", 0.4),
        ("time_embed.linear_1.bias", 0.4),
        ("proj_in.1.weight", 0.4),
        ("lyric_encoder.layers.0.self_attn.q_proj.weight", 0.1),
    ],
)
def test_every_weight_belongs_to_one_group(weight: str, factor: float):
    assert GROUPS.of(weight) == factor
    assert EVEN.of(weight) == 1


def test_a_layer_multiplies_its_group():
    scales = AdapterScales(mlp=0.5, layers=layers_of("0-1: 0.5, 3: -2"))
    assert [scales.of(f"layers.{index}.mlp.up_proj.weight") for index in range(5)] == [
        0.25,
        0.25,
        0.5,
        -1.0,
        0.5,
    ]
    assert scales.of("proj_in.1.weight") == 1


def test_the_layers_of_an_encoder_are_not_those_of_the_transformer():
    scales = AdapterScales(layers=layers_of("0: 0"))
    assert scales.of("lyric_encoder.layers.0.mlp.up_proj.weight") == 1


def test_spans_are_read_with_and_without_blanks():
    assert layers_of("0-11: 0.5,12 - 23:1 , 24:.5") == (
        LayerSpan(0, 11, 0.5),
        LayerSpan(12, 23, 1.0),
        LayerSpan(24, 24, 0.5),
    )
    assert layers_of("  ") == ()


@pytest.mark.parametrize(
    "text", ["all: 1", "0-11 0.5", "0-11: x", "5-2: 1", "0-3: 1, 3: 2", "0:1,", "0: nan", "0: 1e3"]
)
def test_what_cannot_be_read_is_shown_with_the_form(text: str):
    with pytest.raises(InvalidInputError, match=r"0-11: 0\.5, 12-23: 1"):
        layers_of(text)


@given(st.text(alphabet="0123456789-:,. e", max_size=30))
def test_any_text_is_either_read_or_refused(text: str):
    try:
        spans = layers_of(text)
    except InvalidInputError:
        return
    assert all(span.first <= span.last for span in spans)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_strength_is_a_number(value: float):
    with pytest.raises(InvalidInputError, match="The strength is"):
        require_strength(value)
