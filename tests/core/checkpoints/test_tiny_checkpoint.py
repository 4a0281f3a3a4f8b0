"""The tiny checkpoint that other tests and the demo rely on."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import derive_silence, load_codec, load_silence, load_vae
from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.oobleck import Oobleck
from acestep_core.silence import Silence
from support.tiny import checkpoint as tiny_checkpoint
from support.tiny.shapes import model_shapes, qwen_shapes, vae_shapes
from support.tiny.weights import TEXT_CONFIG, VAE_CONFIG

PROMPT = "# Caption\na calm piano ballad\n\n# Metas\n- duration: 30 seconds\n<|endoftext|>\n"


@pytest.fixture(scope="module")
def vae(tiny_turbo: Path) -> Oobleck:
    return load_vae(open_checkpoint(tiny_turbo / "official"))


@pytest.fixture(scope="module")
def codec(tiny_turbo: Path) -> AudioCodec:
    return load_codec(open_checkpoint(tiny_turbo / "official"))


@pytest.fixture(scope="module")
def silence(tiny_turbo: Path) -> Silence:
    return load_silence(open_checkpoint(tiny_turbo / "official"))


def melody(seconds: int, channels: int = 2) -> Tensor:
    time = torch.arange(48_000 * seconds) / 48_000
    voices = [
        torch.sin(time * 2 * torch.pi * (220 + 90 * voice) * (1 + time / 9)) for voice in range(channels)
    ]
    return 0.4 * torch.stack(voices)[None]


def test_every_tensor_of_the_published_layout_is_there():
    for xl in (False, True):
        tiny = tiny_checkpoint.tiny_model("base", xl=xl)

        assert {key: tuple(value.shape) for key, value in tiny.model.items()} == model_shapes(tiny.config)
        assert {key: tuple(value.shape) for key, value in tiny.text.items()} == qwen_shapes(TEXT_CONFIG)
        assert {key: tuple(value.shape) for key, value in tiny.vae.items()} == vae_shapes(VAE_CONFIG)
        assert tiny.silence.shape == (1, 15_000, 64)


def test_constants_that_a_single_file_cannot_tell_are_the_real_ones():
    config = ModelConfig.from_json(tiny_checkpoint.tiny_model().config)

    assert (config.audio_acoustic_hidden_dim, config.timbre_hidden_dim, config.patch_size) == (64, 64, 2)
    assert (config.window, config.timbre_fix_frame, config.pool_window_size) == (128, 750, 5)
    assert config.fsq_input_levels == (8, 8, 8, 5, 5, 5)
    assert VAE_CONFIG["downsampling_ratios"] == [2, 4, 4, 6, 10]
    assert TEXT_CONFIG["vocab_size"] == 151_669


def test_a_seed_gives_the_same_files_and_another_seed_gives_others(tmp_path):
    def digest(seed: int) -> str:
        root = tiny_checkpoint.build(tmp_path / "again", seed=seed)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    assert digest(3) == digest(3) != digest(4)


def test_variants_differ_in_name_and_config_only():
    turbo, base = tiny_checkpoint.tiny_model("turbo"), tiny_checkpoint.tiny_model("base")

    assert all(torch.equal(turbo.model[key], base.model[key]) for key in turbo.model)
    assert turbo.config["is_turbo"]
    assert not base.config["is_turbo"]
    assert turbo.config["model_version"] == base.config["model_version"]


def test_the_tokenizer_has_the_real_ids_and_appends_the_end(tiny_turbo):
    tokenizer = Tokenizer.from_file(str(tiny_turbo / "diffusers" / "tokenizer" / "tokenizer.json"))
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")

    ids = tokenizer.encode(PROMPT).ids
    assert [tokenizer.token_to_id(name) for name in specials] == [151_643, 151_644, 151_645, 151_667, 151_668]
    assert ids[-3:] == [151_643, 198, 151_643]
    assert len(ids) < len(PROMPT) / 2
    assert max(ids) < TEXT_CONFIG["vocab_size"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == PROMPT + "<|endoftext|>"
    assert tokenizer.token_to_id("!") == 0


def test_the_stored_silence_is_what_the_vae_makes_of_zeros(vae, silence):
    derived = derive_silence(vae)

    assert torch.allclose(derived.stored, silence.stored, atol=5e-5)
    assert silence.stored.std() > 0.3
    assert silence.frames(100)[0].diff(dim=0).abs().max() < 1


@torch.no_grad()
def test_what_is_decoded_can_be_heard(vae, silence):
    noise = torch.randn(1, 50, 64, generator=torch.Generator().manual_seed(0))
    for latents in (noise, silence.frames(50)):
        sound = vae.decode(latents)
        assert 0.05 < sound.abs().max() < 1
        assert (sound - sound.mean()).std() > 0.01


@torch.no_grad()
def test_different_music_gives_different_latents_and_codes(vae, codec, silence):
    sound, still = vae.encode(melody(8)).mean, silence.frames(200)

    assert (sound - still).std() > 0.3
    codes = codec.encode(sound, still)
    assert len(codes.unique()) > 15
    assert (
        codec.hints(codes, torch.float32) - codec.hints(codec.encode(still, still), torch.float32)
    ).std() > 0.1


@torch.no_grad()
def test_codes_use_every_level_of_every_digit(codec, silence):
    latents = torch.randn(1, 1500, 64, generator=torch.Generator().manual_seed(0))
    quantizer = codec.tokenizer.quantizer

    values = quantizer.values(codec.encode(latents, silence.frames(5))[0])
    assert [len(digit.unique()) for digit in values.T] == [8, 8, 8, 5, 5, 5]


def test_the_command_line_builds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["tiny_checkpoint.py", str(tmp_path), "--variant", "sft", "--dtype", "bfloat16"]
    )
    tiny_checkpoint.main()

    config = json.loads((tmp_path / "official" / "acestep-v15-sft" / "config.json").read_text())
    assert not config["is_turbo"]
    assert (tmp_path / "comfy" / "checkpoints" / "ace_step_1.5_sft_aio.safetensors").is_file()
