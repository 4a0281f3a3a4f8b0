"""Telling turbo, base and sft apart."""

import pytest

from acestep_core.checkpoints.variants import Variant, variant_of
from acestep_core.errors import UnsupportedCheckpointError


@pytest.mark.parametrize(
    ("name", "config", "asked", "variant"),
    [
        ("acestep-v15-turbo", {"is_turbo": True}, "auto", Variant.TURBO),
        ("acestep-v15-turbo-shift3", {}, "auto", Variant.TURBO),
        ("my model", {"is_turbo": True}, "auto", Variant.TURBO),
        ("acestep-v15-base", {"is_turbo": False, "model_version": "turbo"}, "auto", Variant.BASE),
        ("acestep-v15-xl-sft-diffusers", {"is_turbo": False}, "auto", Variant.SFT),
        ("acestep_v1.5_xl_sft_bf16.safetensors", {}, "auto", Variant.SFT),
        ("ace_step_1.5_turbo_aio.safetensors", {}, "auto", Variant.TURBO),
        ("Ace-Step1.5-BASE.safetensors", {}, "auto", Variant.BASE),
        ("acestep-v15-turbo/model.safetensors", {}, "auto", Variant.TURBO),
        ("models--ACE-Step--acestep-v15-sft/snapshots/0a1b", {"is_turbo": False}, "auto", Variant.SFT),
        ("acestep-v15-turbo", {"is_turbo": True}, "base", Variant.BASE),
        ("unknown", {}, "sft", Variant.SFT),
        ("acestep-v15-turbo", {"is_turbo": False}, "auto", Variant.BASE),
        ("database", {"is_turbo": False}, "auto", Variant.BASE),
    ],
)
def test_the_variant_is_asked_for_or_told_by_config_or_name(tmp_path, name, config, asked, variant):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if path.suffix == ".safetensors" else path.mkdir()

    assert variant_of(path, config, asked) is variant


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("merged.safetensors", {}),
        ("acestep-base-turbo-merge.safetensors", {}),
        ("base/model.safetensors", {}),
    ],
)
def test_an_unclear_variant_is_asked_for(tmp_path, name, config):
    path = tmp_path / "here" / name
    path.parent.mkdir(parents=True)
    path.touch()

    with pytest.raises(UnsupportedCheckpointError, match=r"Set the variant to turbo, base or sft"):
        variant_of(path, config)


def test_a_variant_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UnsupportedCheckpointError, match="no variant pro"):
        variant_of(tmp_path, {}, "pro")


def test_only_turbo_is_distilled():
    assert [variant for variant in Variant if variant.is_turbo] == [Variant.TURBO]
