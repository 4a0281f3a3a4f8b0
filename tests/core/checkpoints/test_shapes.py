"""Sizes read off the shapes of weights are those that config.json tells."""

import pytest

from acestep_core.checkpoints.shapes import model_config_of, vae_config_of
from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.qwen3 import Qwen3Sizes
from support.tiny.shapes import FULL_SIZE, FULL_SIZE_XL, model_shapes, qwen_shapes, vae_shapes
from support.tiny.weights import TEXT_CONFIG, VAE_CONFIG, tiny_config

CONFIGS = {
    "2B": FULL_SIZE,
    "XL": FULL_SIZE_XL,
    "tiny turbo": tiny_config("turbo"),
    "tiny XL base": tiny_config("base", xl=True),
}


@pytest.mark.parametrize("raw", CONFIGS.values(), ids=CONFIGS.keys())
def test_shapes_tell_the_same_as_config_json(raw):
    assert model_config_of(model_shapes(raw)) == ModelConfig.from_json(raw)


@pytest.mark.parametrize(
    "lost", ["decoder.proj_out.1.weight", "detokenizer.special_tokens", "encoder.text_projector.weight"]
)
def test_shapes_without_a_part_of_the_model_are_refused(lost):
    shapes = {key: shape for key, shape in model_shapes(FULL_SIZE).items() if key != lost}

    with pytest.raises(UnsupportedCheckpointError, match="cannot be read off its weights"):
        model_config_of(shapes)


def test_the_sizes_of_vae_and_text_encoder_are_seen_in_shapes():
    assert vae_config_of(vae_shapes(VAE_CONFIG)) == VaeConfig.from_json(VAE_CONFIG)
    assert Qwen3Sizes.from_shapes(qwen_shapes(TEXT_CONFIG)) == Qwen3Sizes.from_json(TEXT_CONFIG)
