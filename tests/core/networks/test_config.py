"""Sizes out of config.json, out of diffusers' components, and off the shapes of weights."""

import json
from pathlib import Path

import pytest

from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.config import ModelConfig, VaeConfig
from support.tiny.checkpoint import OWN_FIELDS, STACK_FIELDS, WIDTH_FIELDS
from support.tiny.shapes import FULL_SIZE, FULL_SIZE_XL
from support.tiny.weights import VAE_CONFIG, tiny_config

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden" / "tiny_official"
CONFIGS = {
    "2B": FULL_SIZE,
    "XL": FULL_SIZE_XL,
    "tiny turbo": tiny_config("turbo"),
    "tiny XL base": tiny_config("base", xl=True),
}


@pytest.mark.parametrize("raw", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_components_of_diffusers_tell_the_same_as_config_json(raw):
    def component(name: str, prefix: str = "") -> dict:
        widths = {field: raw.get(prefix + field, raw[field]) for field in WIDTH_FIELDS}
        return {**{field: raw.get(field) for field in (*STACK_FIELDS, *OWN_FIELDS[name])}, **widths}

    transformer = {**component("transformer"), "encoder_hidden_size": None}
    encoder = component("condition_encoder", "encoder_")
    codec = component("audio_tokenizer", "encoder_")

    whole = ModelConfig.from_json(raw)
    assert ModelConfig.from_components(transformer, encoder, codec) == whole
    assert ModelConfig.from_components(transformer, encoder, None) == whole
    assert ModelConfig.from_components({**transformer, "layer_types": None}, encoder, codec) == whole


def test_the_golden_config_keeps_its_own_constants():
    config = ModelConfig.from_json(json.loads((GOLDEN / "acestep-v15-turbo" / "config.json").read_text()))

    assert (config.audio_acoustic_hidden_dim, config.window, config.head_dim) == (8, 4, 10)
    assert config.encoder_stack.width == config.decoder_stack.width == 48


@pytest.mark.parametrize(
    "field", [f for f in FULL_SIZE if f not in ("in_channels", "fsq_input_num_quantizers", "rope_theta")]
)
def test_a_field_that_config_json_lacks_is_named(field):
    raw = {key: value for key, value in FULL_SIZE.items() if key != field}

    with pytest.raises(UnsupportedCheckpointError, match=rf"config.json lacks .*{field}"):
        ModelConfig.from_json(raw)


def test_encoder_sizes_are_the_main_ones_unless_given():
    plain, wide = ModelConfig.from_json(FULL_SIZE), ModelConfig.from_json(FULL_SIZE_XL)

    assert plain.encoder_stack == plain.decoder_stack
    assert (wide.encoder_stack.width, wide.decoder_stack.width) == (2048, 2560)
    assert ModelConfig.from_json({**FULL_SIZE, "encoder_hidden_size": None}) == plain


@pytest.mark.parametrize(
    ("given", "theta"),
    [
        ({"rope_theta": 5e5}, 5e5),
        ({"rope_theta": None, "rope_parameters": {"rope_theta": 2e5}}, 2e5),
        ({"rope_theta": None}, 1e6),
    ],
)
def test_the_rotary_base_is_found_in_either_spelling(given, theta):
    assert ModelConfig.from_json({**FULL_SIZE, **given}).rope_theta == theta


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer_types": ["full_attention"]}, "contradicts itself: layer_types does not name every layer"),
        ({"layer_types": ["linear_attention"] * 24}, "contradicts itself: layer_types names an unknown kind"),
        ({"num_key_value_heads": 5}, "contradicts itself: num_attention_heads is no multiple"),
        ({"encoder_num_key_value_heads": 3}, "contradicts itself: num_attention_heads is no multiple"),
        ({"head_dim": 127}, "contradicts itself: head_dim is odd"),
        ({"num_key_value_heads": 0, "encoder_num_key_value_heads": 8}, "says num_key_value_heads = 0"),
        ({"hidden_size": "2048"}, "says hidden_size = '2048'"),
        ({"patch_size": -2}, "says patch_size = -2"),
        ({"fsq_input_levels": [8, 0]}, r"says fsq_input_levels\[1\] = 0"),
        ({"attention_bias": True}, "asks for attention_bias = True"),
        ({"rope_scaling": {"type": "yarn"}}, "asks for rope_scaling"),
        ({"hidden_act": "gelu"}, "asks for hidden_act = gelu"),
        ({"fsq_input_num_quantizers": 2}, "asks for fsq_input_num_quantizers = 2"),
    ],
)
def test_a_config_that_no_model_can_have_is_refused(change, said):
    with pytest.raises(UnsupportedCheckpointError, match=said):
        ModelConfig.from_json({**FULL_SIZE, **change})


def test_a_model_may_do_without_windows():
    assert ModelConfig.from_json({**FULL_SIZE, "use_sliding_window": False}).decoder_stack.window is None


def test_a_vae_config_that_lacks_a_field_is_refused():
    with pytest.raises(UnsupportedCheckpointError, match=r"The VAE's config.json lacks decoder_channels"):
        VaeConfig.from_json({key: value for key, value in VAE_CONFIG.items() if key != "decoder_channels"})
