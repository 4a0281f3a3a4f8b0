"""The tiny model goes through every path that a published model takes, as far as a path carries its silence."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from acestep_core.checkpoints.layouts import open_checkpoint
from support.tiny.checkpoint import DIFFUSERS_PREFIXES
from support.tiny.spellings import to_diffusers
from training.export import LIMIT, MODEL, TEXT, VAE
from training.playing import CHECKPOINT, Studio, instrumental

BRIEF = instrumental("pop bells", 125, "D major", 6.0)


@pytest.fixture(scope="module")
def played(studio):
    return studio.compose([BRIEF], 6.0, [1])


def test_it_is_small():
    assert sum(path.stat().st_size for path in CHECKPOINT.rglob("*") if path.is_file()) <= LIMIT


def test_the_model_folder_brings_its_neighbours(played):
    assert torch.equal(Studio.opened(CHECKPOINT / MODEL).compose([BRIEF], 6.0, [1]), played)


def test_parts_may_be_chosen_one_by_one(played, tmp_path):
    alone = tmp_path / "somewhere" / MODEL
    shutil.copytree(CHECKPOINT / MODEL, alone)
    files = open_checkpoint(alone, text_encoder=CHECKPOINT / TEXT, vae=CHECKPOINT / VAE)
    assert torch.equal(Studio.of(files).compose([BRIEF], 6.0, [1]), played)


def test_a_diffusers_folder_plays_the_same(played, tmp_path):
    write_diffusers(tmp_path)
    assert torch.equal(Studio.opened(tmp_path).compose([BRIEF], 6.0, [1]), played)


def write_diffusers(root):
    """The same weights as diffusers' pipeline saves them."""
    whole = load_file(CHECKPOINT / MODEL / "model.safetensors")
    config = json.loads((CHECKPOINT / MODEL / "config.json").read_text(encoding="utf-8"))
    encoder = {name: config[f"encoder_{name}"] for name in WIDTHS}
    silence = torch.load(CHECKPOINT / MODEL / "silence_latent.pt", weights_only=True)
    loose = {"null_condition_emb": whole["null_condition_emb"], "silence_latent": silence.mT.contiguous()}
    for name, prefix in DIFFUSERS_PREFIXES.items():
        part = {
            to_diffusers(key.removeprefix(prefix)): weight
            for key, weight in whole.items()
            if key.startswith(prefix)
        }
        folder = root / name
        folder.mkdir()
        save_file(
            part | (loose if name == "condition_encoder" else {}),
            folder / "diffusion_pytorch_model.safetensors",
        )
        sizes = (
            config | {"encoder_hidden_size": encoder["hidden_size"]}
            if name == "transformer"
            else config | encoder
        )
        (folder / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    shutil.copytree(CHECKPOINT / VAE, root / "vae")
    shutil.copytree(CHECKPOINT / TEXT, root / "text_encoder")
    shutil.copytree(CHECKPOINT / TEXT, root / "tokenizer")
    (root / "model_index.json").write_text('{"_class_name": "AceStepPipeline"}', encoding="utf-8")


WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
