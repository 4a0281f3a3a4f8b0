"""Finding out which files make which part of a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from acestep_core.checkpoints import key_maps
from acestep_core.checkpoints.checkpoint import Checkpoint
from acestep_core.checkpoints.layouts import (
    open_checkpoint,
    open_text_encoder,
    open_vae,
)
from acestep_core.checkpoints.stored_silence import read_silence
from acestep_core.checkpoints.weights import Weights
from acestep_core.errors import UnsupportedCheckpointError
from support.tiny import checkpoint as tiny_checkpoint
from support.tiny.checkpoint import DIFFUSERS_PREFIXES, TinyModel, tiny_model
from support.tiny.shapes import model_shapes
from support.tiny.spellings import to_diffusers
from support.tiny.weights import TEXT_CONFIG, VAE_CONFIG

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden" / "tiny_official"
VAE_FILES = ("ace_1.5_vae.safetensors", "ace_1.5_vae_parametrized.safetensors")


def comfy_files(root: Path) -> tuple[Path, Path, Path]:
    model = next((root / "comfy" / "diffusion_models").iterdir())
    return (
        model,
        root / "comfy" / "text_encoders" / "qwen_0.6b_ace15.safetensors",
        root / "comfy" / "vae" / VAE_FILES[0],
    )


def open_split(model: Path | None, text_encoder: Path | None, vae: Path | None) -> Checkpoint:
    """One file for each part; what is None stays out unless the model's own files bring it."""
    if model is not None:
        return open_checkpoint(model, text_encoder=text_encoder, vae=vae)
    return Checkpoint(
        text=None if text_encoder is None else open_text_encoder(text_encoder),
        vae=None if vae is None else open_vae(vae),
    )


def all_in_one(root: Path) -> Path:
    return next((root / "comfy" / "checkpoints").iterdir())


def model_folder(root: Path) -> Path:
    return next((root / "official").glob("acestep-v15-*"))


@pytest.fixture(params=["tiny_turbo", "tiny_base", "tiny_xl"])
def tiny(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def official(tiny_turbo: Path, tmp_path: Path) -> Path:
    """A copy of the official folders that a test may damage."""
    shutil.copytree(tiny_turbo / "official", tmp_path / "official")
    return tmp_path / "official"


@pytest.fixture(scope="module")
def parts() -> TinyModel:
    return tiny_model()


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def changed(path: Path, **fields: object) -> None:
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_every_layout_holds_the_same_model(tiny):
    official = open_checkpoint(model_folder(tiny))
    others = {
        "parent": open_checkpoint(tiny / "official"),
        "diffusers": open_checkpoint(tiny / "diffusers", official.model.variant.value),
        "all in one": open_checkpoint(all_in_one(tiny)),
        "split": open_split(*comfy_files(tiny)),
    }

    for name, other in others.items():
        assert same(official.model.weights, other.model.weights), name
        assert same(official.text.weights, other.text.weights), name
        assert official.model.config == other.model.config, name
        assert official.model.variant == other.model.variant, name
        assert official.text.sizes == other.text.sizes, name
        assert official.vae.config == other.vae.config, name


def test_silence_and_tokenizer_are_found_where_a_layout_has_them(tiny_turbo, parts):
    official, diffusers = open_checkpoint(tiny_turbo / "official"), open_checkpoint(tiny_turbo / "diffusers")
    single = open_checkpoint(all_in_one(tiny_turbo))

    assert torch.equal(official.model.silence, parts.silence)
    assert torch.equal(diffusers.model.silence, parts.silence)
    assert single.model.silence is None
    assert official.text.tokenizer == tiny_turbo / "official" / "Qwen3-Embedding-0.6B"
    assert diffusers.text.tokenizer == tiny_turbo / "diffusers" / "tokenizer"
    assert single.text.tokenizer is None


def test_the_golden_checkpoint_loads_with_its_own_constants():
    checkpoint = open_checkpoint(GOLDEN)

    assert checkpoint.model.config.window == 4
    assert checkpoint.model.silence.shape == (1, 15_000, 8)
    assert checkpoint.vae.config.decoder_input_channels == 8
    assert checkpoint.text.sizes.vocab_size == 469


def test_names_go_from_diffusers_to_official_and_nothing_is_lost():
    shapes = model_shapes(tiny_checkpoint.tiny_config("turbo"))
    for folder, prefix in DIFFUSERS_PREFIXES.items():
        for key in (key for key in shapes if key.startswith(prefix)):
            foreign = to_diffusers(key.removeprefix(prefix))
            assert key_maps.official_model_name(folder, foreign) == key


def test_a_part_may_be_left_out(tiny_turbo):
    model, text, vae = comfy_files(tiny_turbo)

    alone = open_checkpoint(model)
    assert (alone.text, alone.vae) == (None, None)
    assert open_split(None, None, None).model is None
    assert open_split(None, text, None).text.sizes.hidden_size == TEXT_CONFIG["hidden_size"]
    assert open_split(None, None, vae).vae.config.decoder_input_channels == 64


@pytest.mark.parametrize(
    ("part", "said"),
    [("model_files", "no model"), ("text_files", "no text encoder"), ("vae_files", "no VAE")],
)
def test_a_part_that_is_left_out_is_asked_for(part, said):
    with pytest.raises(UnsupportedCheckpointError, match=f"The checkpoint has {said}"):
        getattr(open_split(None, None, None), part)()


def test_a_part_of_ones_own_choice_wins(tiny_turbo):
    _, text, vae = comfy_files(tiny_turbo)
    folder = tiny_turbo / "official"

    chosen = open_checkpoint(model_folder(tiny_turbo), text_encoder=text, vae=vae)
    assert chosen.text.tokenizer is None
    assert "decoder.layers.0.weight_v" in chosen.vae.weights
    mixed = open_checkpoint(
        all_in_one(tiny_turbo), text_encoder=folder / "Qwen3-Embedding-0.6B", vae=folder / "vae"
    )
    assert mixed.text.tokenizer == folder / "Qwen3-Embedding-0.6B"
    assert "decoder.conv1.weight_v" in mixed.vae.weights


def test_a_file_inside_a_text_encoder_folder_brings_the_tokenizer(tiny_turbo):
    folder = tiny_turbo / "official" / "Qwen3-Embedding-0.6B"

    assert open_text_encoder(folder / "model.safetensors").tokenizer == folder


def test_parts_inside_the_model_folder_come_before_those_beside_it(official):
    model = model_folder(official.parent)
    shutil.copytree(official / "Qwen3-Embedding-0.6B", model / "Qwen3-Embedding-0.6B")
    shutil.move(official / "vae", model / "vae")

    checkpoint = open_checkpoint(model)
    assert checkpoint.text.tokenizer == model / "Qwen3-Embedding-0.6B"
    assert checkpoint.vae is not None


def test_a_folder_of_other_vaes_beside_the_model_is_left_alone(official):
    for file in (official / "vae").iterdir():
        file.unlink()
    save_file({"encoder.down.0.block": torch.zeros(1)}, official / "vae" / "image.safetensors")
    shutil.rmtree(official / "Qwen3-Embedding-0.6B")

    checkpoint = open_checkpoint(model_folder(official.parent))
    assert (checkpoint.text, checkpoint.vae) == (None, None)


def test_a_model_file_may_carry_the_all_in_one_prefix_alone(tmp_path, parts):
    path = tmp_path / "merged_turbo.safetensors"
    save_file({f"model.diffusion_model.{key}": value for key, value in parts.model.items()}, path)

    assert open_checkpoint(path).model.weights.keys() == parts.model.keys()


def test_a_diffusers_folder_may_come_without_codec(tiny_turbo, tmp_path):
    skipped = shutil.ignore_patterns("audio_*")
    folder = shutil.copytree(tiny_turbo / "diffusers", tmp_path / "diffusers", ignore=skipped)

    checkpoint = open_checkpoint(folder)
    assert checkpoint.model.config == open_checkpoint(tiny_turbo / "diffusers").model.config
    assert not checkpoint.model.weights.only("tokenizer.", "detokenizer.")


def test_stem_checkpoints_say_so(official):
    changed(model_folder(official.parent) / "config.json", is_lego_sft=True)

    assert open_checkpoint(official).model.knows_stems


def test_lyric_heads_of_a_config_are_handed_on(official):
    assert open_checkpoint(official).model.lyric_heads is None
    changed(model_folder(official.parent) / "config.json", lyric_alignment_layers_config={"1": [2]})
    assert open_checkpoint(official).model.lyric_heads == {"1": [2]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_silence_is_turned_to_frames_first(tmp_path, dtype):
    latents = torch.randn(1, 64, 20).to(dtype)
    torch.save(latents, tmp_path / "silence_latent.pt")

    assert torch.equal(read_silence(tmp_path / "silence_latent.pt", 64), latents.float().mT)


def test_without_a_stored_silence_there_is_none(official):
    (model_folder(official.parent) / "silence_latent.pt").unlink()

    assert open_checkpoint(official).model.silence is None


def test_a_diffusers_folder_may_have_its_silence_beside_the_networks(tiny_turbo, parts, tmp_path):
    folder = shutil.copytree(tiny_turbo / "diffusers", tmp_path / "diffusers")
    encoder = folder / "condition_encoder" / "diffusion_pytorch_model.safetensors"
    weights = load_file(encoder)
    del weights["silence_latent"]
    save_file(weights, encoder)
    assert open_checkpoint(folder).model.silence is None

    torch.save(parts.silence.mT.contiguous(), folder / "silence_latent.pt")
    assert torch.equal(open_checkpoint(folder).model.silence, parts.silence)


def test_the_top_of_a_download_is_no_model_although_it_has_a_config(official, tmp_path):
    assert (official / "config.json").is_file()
    assert open_checkpoint(official).model.variant.value == "turbo"

    shutil.copytree(model_folder(official.parent), official / "acestep-v15-base")
    with pytest.raises(UnsupportedCheckpointError, match="several models"):
        open_checkpoint(official)


def test_the_vaes_sizes_are_the_same_in_every_spelling(tiny_turbo):
    for name in VAE_FILES:
        config = open_vae(tiny_turbo / "comfy" / "vae" / name).config
        assert config.decoder_input_channels == VAE_CONFIG["decoder_input_channels"]
        assert config.channel_multiples == tuple(VAE_CONFIG["channel_multiples"])
