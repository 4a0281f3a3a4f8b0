"""Checkpoints that are not whole or belong to another model: each is called what it is."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from acestep_core.checkpoints.layouts import open_checkpoint, open_text_encoder, open_vae
from acestep_core.checkpoints.stored_silence import read_silence
from acestep_core.errors import UnsupportedCheckpointError
from support.tiny.checkpoint import TinyModel, tiny_model, write_official

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden" / "tiny_official"
VAE_FILES = ("ace_1.5_vae.safetensors", "ace_1.5_vae_parametrized.safetensors")


def model_folder(root: Path) -> Path:
    return next((root / "official").glob("acestep-v15-*"))


@pytest.fixture
def official(tiny_turbo: Path, tmp_path: Path) -> Path:
    """A copy of the official folders that a test may damage."""
    shutil.copytree(tiny_turbo / "official", tmp_path / "official")
    return tmp_path / "official"


@pytest.fixture(scope="module")
def parts() -> TinyModel:
    return tiny_model()


def changed(path: Path, **fields: object) -> None:
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("acestep-v15-turbo/model.safetensors", "holds neither model.safetensors nor"),
        ("acestep-v15-turbo/config.json", "official holds no model"),
        ("Qwen3-Embedding-0.6B/tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_a_folder_that_lacks_a_file_says_which(official, lost, said):
    (official / lost).unlink()

    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_checkpoint(official)


def test_a_folder_with_several_models_asks_for_one(tmp_path, parts):
    write_official(parts, tmp_path)
    shutil.copytree(tmp_path / "acestep-v15-turbo", tmp_path / "acestep-v15-base")

    with pytest.raises(
        UnsupportedCheckpointError, match=r"several models \(acestep-v15-base, acestep-v15-turbo\)"
    ):
        open_checkpoint(tmp_path)


def test_an_ace_step_1_folder_is_recognised(tmp_path):
    (tmp_path / "ace_step_transformer").mkdir()

    with pytest.raises(UnsupportedCheckpointError, match="holds an ACE-Step 1 checkpoint"):
        open_checkpoint(tmp_path)


def test_a_config_of_another_model_is_refused(official):
    config = model_folder(official.parent) / "config.json"
    config.write_text('{"_class_name": "ACEStepTransformer2DModel", "attention_head_dim": 128}')

    with pytest.raises(UnsupportedCheckpointError, match=r"config.json lacks hidden_size"):
        open_checkpoint(official)


def test_a_damaged_config_is_refused(official):
    (model_folder(official.parent) / "config.json").write_text("<html>")

    with pytest.raises(UnsupportedCheckpointError, match=r"config.json cannot be read"):
        open_checkpoint(official)


# Files of other models


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["genre_embedder.weight", "lyric_embs.weight"], "is an ACE-Step 1 model"),
        (
            ["model.diffusion_model.speaker_embedder.weight", "model.diffusion_model.genre_embedder.weight"],
            "ACE-Step 1",
        ),
        (["model.diffusion_model.input_blocks.0.0.weight"], "is a Stable Diffusion model"),
        (["double_blocks.0.img_attn.qkv.weight"], "is an image model"),
        (["base_model.model.layers.0.self_attn.q_proj.lora_A.weight"], "is a LoRA"),
        (["model.embed_tokens.weight", "model.layers.0.self_attn.q_norm.weight"], "is a language model"),
        (["decoder.conv1.weight_v", "encoder.conv1.weight_v"], "is an Oobleck VAE"),
        (["something.else"], r"is of an unknown kind \(it begins with something.else\)"),
    ],
)
def test_another_model_in_the_models_place_is_called_what_it_is(tmp_path, keys, said):
    path = tmp_path / "acestep_turbo.safetensors"
    save_file({key: torch.zeros(1) for key in keys}, path)

    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_checkpoint(path)


def test_tensors_that_no_model_has_are_refused(tmp_path, parts):
    path = tmp_path / "acestep_turbo.safetensors"
    save_file({**parts.model, "adapter.weight": torch.zeros(1)}, path)

    with pytest.raises(
        UnsupportedCheckpointError, match=r"1 tensors that no ACE-Step 1.5 model has \(adapter.weight\)"
    ):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (217_204, "is a planner: it knows 217204 tokens"),
        (151_936, "is another Qwen3"),
        (32_000, "knows 32000 tokens"),
    ],
)
def test_another_language_model_in_the_text_encoders_place_is_refused(tmp_path, rows, said):
    path = tmp_path / "qwen.safetensors"
    table = torch.zeros(rows, 2, dtype=torch.float8_e4m3fn)
    save_file(
        {"model.embed_tokens.weight": table, "model.layers.0.self_attn.q_norm.weight": torch.ones(2)}, path
    )

    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_text_encoder(path)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["encoder.block.0.layer.0.SelfAttention.q.weight"], "is a T5 text encoder, not a Qwen3"),
        (["text_model.encoder.layers.0.mlp.fc1.weight"], "is a CLIP model, not a Qwen3"),
        (
            ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"],
            "is a language model, not a Qwen3",
        ),
    ],
)
def test_a_text_encoder_of_another_kind_is_called_what_it_is(tmp_path, keys, said):
    path = tmp_path / "text.safetensors"
    save_file({key: torch.zeros(1) for key in keys}, path)

    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_text_encoder(path)


def test_a_planner_folder_in_the_text_encoders_place_is_refused(official):
    folder = official / "Qwen3-Embedding-0.6B"
    tensors = load_file(folder / "model.safetensors")
    tensors["embed_tokens.weight"] = torch.zeros(217_204, 16, dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(UnsupportedCheckpointError, match="is a planner"):
        open_checkpoint(official)


def test_the_vae_of_another_model_is_refused(tiny_turbo, tmp_path):
    with pytest.raises(
        UnsupportedCheckpointError, match="latents have 8 channels, but the model works with 64"
    ):
        open_checkpoint(model_folder(tiny_turbo), vae=GOLDEN / "vae")
    save_file({"decoder.mid.block_1.conv1.weight": torch.zeros(1)}, tmp_path / "image.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match="is the VAE of an image model, not an Oobleck VAE"):
        open_vae(tmp_path / "image.safetensors")


def test_a_vae_of_another_frame_rate_is_refused(official):
    changed(official / "vae" / "config.json", downsampling_ratios=[2, 4, 4, 8, 8])

    with pytest.raises(UnsupportedCheckpointError, match=r"strides \[2, 4, 4, 8, 8\]"):
        open_checkpoint(official)


# silence_latent.pt, the only pickle that is read


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize("legacy", [True, False])
def test_a_malicious_silence_is_refused_and_not_executed(official, monkeypatch, tmp_path, legacy):
    monkeypatch.chdir(tmp_path)
    path = model_folder(official.parent) / "silence_latent.pt"
    torch.save(Malicious(), path, _use_new_zipfile_serialization=not legacy)

    with pytest.raises(UnsupportedCheckpointError, match=r"silence_latent.pt is no plain tensor"):
        open_checkpoint(official)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"version https://git-lfs",
        b"PK\x03\x04rest",
        b"\x80\x02.",
        pickle.dumps(3, protocol=2),
    ],
)
def test_a_damaged_silence_is_refused(tmp_path, content):
    path = tmp_path / "silence_latent.pt"
    path.write_bytes(content)

    with pytest.raises(UnsupportedCheckpointError, match=r"silence_latent.pt (is no plain tensor|holds a)"):
        read_silence(path, 64)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98])
def test_a_silence_that_breaks_off_is_refused(tmp_path, kept, legacy):
    path = tmp_path / "silence_latent.pt"
    torch.save(torch.zeros(1, 64, 100), path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])

    with pytest.raises(UnsupportedCheckpointError, match=r"silence_latent.pt is no plain tensor"):
        read_silence(path, 64)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.zeros(1, 100, 64), r"a tensor \[1, 100, 64\]"),
        (torch.zeros(64, 100), r"a tensor \[64, 100\]"),
        (torch.zeros(2, 64, 100), r"a tensor \[2, 64, 100\]"),
        (torch.full((1, 64, 9), float("nan")), r"not finite latents \[1, 64, frames\]"),
        (torch.zeros(1, 64, 9, dtype=torch.int64), r"a tensor \[1, 64, 9\]"),
        ({"silence": torch.zeros(1, 64, 9)}, "a dict"),
    ],
)
def test_a_silence_of_another_form_is_refused(tmp_path, content, said):
    path = tmp_path / "silence_latent.pt"
    torch.save(content, path)

    with pytest.raises(UnsupportedCheckpointError, match=said):
        read_silence(path, 64)


# ---------------------------------------------------------------- absurd counts, before anything is built


@pytest.mark.parametrize(
    ("folder", "field", "stack"),
    [
        ("acestep-v15-turbo", "num_attention_pooler_hidden_layers", "tokenizer.attention_pooler."),
        ("acestep-v15-turbo", "num_timbre_encoder_hidden_layers", "encoder.timbre_encoder."),
        ("Qwen3-Embedding-0.6B", "num_hidden_layers", ""),
    ],
)
def test_more_layers_than_the_weights_hold_are_refused_before_one_is_built(official, folder, field, stack):
    path = official / folder / "config.json"
    changed(path, **{field: 1000})
    if folder.startswith("acestep"):  # a list that would do for so many
        changed(path, num_hidden_layers=1000, layer_types=["full_attention"] * 1000)
        stack = "decoder."
    with pytest.raises(
        UnsupportedCheckpointError, match=f"{stack}layers has 1000 layers, and the weights hold"
    ):
        open_checkpoint(official)
    changed(path, **{field: 2**63})
    with pytest.raises(UnsupportedCheckpointError, match=f"says {field} = 9223372036854775808"):
        open_checkpoint(official)
