"""What folders say of themselves, and files that belong to one."""

import json

import pytest

from acestep_core.checkpoints.kinds import Kind, is_whole, kind_of_folder, qwen_folder

FIRST_PLANNER = 151_669 + 64_000  # rows of text and codes


def described(folder, **config):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "acestep"}, Kind.MODEL),
        ({"model_type": "qwen3", "vocab_size": FIRST_PLANNER - 1}, Kind.TEXT_ENCODER),
        ({"model_type": "qwen3", "vocab_size": FIRST_PLANNER}, Kind.PLANNER),
        ({"model_type": "qwen3", "vocab_size": "many"}, Kind.TEXT_ENCODER),
        ({"_class_name": "AutoencoderOobleck"}, Kind.VAE),
        ({"_class_name": "AutoencoderKL"}, Kind.OTHER),
        ({"model_type": ["acestep"]}, Kind.OTHER),
        ({}, Kind.OTHER),
    ],
)
def test_a_folder_is_what_its_config_says(tmp_path, config, kind):
    assert kind_of_folder(described(tmp_path / "folder", **config)) is kind


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", None])
def test_a_folder_without_a_config_that_can_be_read_says_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    assert kind_of_folder(tmp_path) is None


def test_a_pipeline_is_a_model_whatever_its_config_says(tmp_path):
    folder = described(tmp_path / "folder", model_type="qwen3")
    (folder / "model_index.json").write_text("{}", encoding="utf-8")
    assert kind_of_folder(folder) is Kind.MODEL
    assert is_whole(folder)


def test_the_published_folders_are_known(tiny_turbo):
    official = tiny_turbo / "official"
    kinds = {path.name: kind_of_folder(path) for path in official.iterdir() if path.is_dir()}
    assert kinds["vae"] is Kind.VAE
    assert kinds["Qwen3-Embedding-0.6B"] is Kind.TEXT_ENCODER
    assert kinds["acestep-v15-turbo"] is Kind.MODEL
    assert kind_of_folder(tiny_turbo / "diffusers") is Kind.MODEL
    assert all(is_whole(official / name) for name in kinds)


def test_the_top_of_a_download_is_not_whole_until_it_has_weights(tmp_path):
    top = described(tmp_path / "download")
    assert is_whole(top)
    described(top / "vae")
    assert not is_whole(top)
    (top / "model-00001-of-00002.safetensors").touch()
    assert is_whole(top)
    assert not is_whole(tmp_path)


def test_a_file_inside_a_qwen_folder_counts_as_the_folder(tmp_path):
    folder = described(tmp_path / "planner")
    file = folder / "model.safetensors"
    file.touch()
    assert qwen_folder(folder) == folder
    assert qwen_folder(file) is None
    (folder / "tokenizer.json").touch()
    assert qwen_folder(file) == folder
