"""Sizes of a Qwen3: out of config.json, off the shapes of its weights, or refused."""

import json
from dataclasses import asdict

import pytest

from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.qwen3 import Qwen3Sizes
from support.reference.golden_briefs import ENCODER_FOLDER
from support.tiny.shapes import FULL_QWEN, qwen_shapes

CONFIG = json.loads((ENCODER_FOLDER / "config.json").read_text())
SIZES = Qwen3Sizes(
    vocab_size=50,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
)


def test_sizes_are_read_off_the_shapes_of_a_file_without_config():
    shapes = qwen_shapes(asdict(SIZES))

    assert Qwen3Sizes.from_shapes(shapes) == SIZES
    assert Qwen3Sizes.from_shapes(qwen_shapes(FULL_QWEN)) == Qwen3Sizes(**FULL_QWEN)


@pytest.mark.parametrize("missing", ["embed_tokens.weight", "layers.0.self_attn.q_norm.weight"])
def test_shapes_of_another_network_are_refused(missing):
    shapes = qwen_shapes(asdict(SIZES))
    del shapes[missing]

    with pytest.raises(UnsupportedCheckpointError, match=missing):
        Qwen3Sizes.from_shapes(shapes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"head_dim": None}, "lacks head_dim"),
        ({"model_type": "qwen2"}, "is a qwen2"),
        ({"attention_bias": True}, "attention_bias"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_type"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}}, "rope_type"),
    ],
)
def test_a_config_that_we_do_not_compute_is_refused(change, problem):
    with pytest.raises(UnsupportedCheckpointError, match=problem):
        Qwen3Sizes.from_json({**CONFIG, "rope_parameters": None, **change})
