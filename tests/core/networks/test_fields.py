"""What a config.json says is checked before anything is built of it: types, ranges, and nothing is converted."""

import pytest

from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.qwen3 import Qwen3Sizes
from support.tiny.shapes import FULL_QWEN, FULL_SIZE, FULL_VAE

ABSURD = [
    "2048",
    2.5,
    True,
    [],
    {},
    {"a": 1},
    [1],
    -1,
    0,
    2**63,
    10**4000,
    float("nan"),
    float("inf"),
    "x" * 10**6,
]
READERS = [(ModelConfig, FULL_SIZE), (VaeConfig, FULL_VAE), (Qwen3Sizes, FULL_QWEN)]


def outcome(cls, raw):
    """What the user is told; anything but our own error goes on."""
    try:
        cls.from_json(raw)
    except UnsupportedCheckpointError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("number", range(len(ABSURD)))
@pytest.mark.parametrize(("cls", "sound"), READERS)
def test_nonsense_in_any_field_is_refused_in_a_short_sentence(cls, sound, number):
    assert outcome(cls, sound) == ""
    for field in sound:
        assert len(outcome(cls, {**sound, field: ABSURD[number]})) < 400
    for field in sound.keys() & {"hidden_size", "num_hidden_layers", "decoder_channels"}:
        assert f"says {field} = " in outcome(cls, {**sound, field: ABSURD[number]})


def test_counts_of_layers_are_bounded_and_an_entry_of_a_list_is_named():
    for field, value, said in [
        ("num_hidden_layers", 100_000, "says num_hidden_layers = 100000"),
        (
            "num_attention_pooler_hidden_layers",
            2**63,
            "says num_attention_pooler_hidden_layers = 9223372036854775808",
        ),
        ("fsq_input_levels", [8, "8"], r"says fsq_input_levels\[1\] = '8'"),
        ("rms_norm_eps", "1e-6", "says rms_norm_eps = '1e-6'"),
        ("use_sliding_window", 1, "says use_sliding_window = 1"),
        ("rope_theta", [1], "says rope_theta = a list of 1"),
    ]:
        with pytest.raises(UnsupportedCheckpointError, match=said):
            ModelConfig.from_json({**FULL_SIZE, field: value})


def test_components_of_diffusers_may_say_nonsense_as_well():
    for layers in (2**63, "24", -1):
        with pytest.raises(UnsupportedCheckpointError, match="num_hidden_layers"):
            ModelConfig.from_components({**FULL_SIZE, "num_hidden_layers": layers}, FULL_SIZE, FULL_SIZE)
