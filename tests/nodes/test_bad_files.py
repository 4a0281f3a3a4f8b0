"""Files that are missing, misplaced, damaged or too large are said in the node, and the next run works."""

import json
import resource

import pytest
import torch
from safetensors.torch import save_file

from support.comfyui import models as comfy_models
from support.comfyui.task_graphs import TURBO, encode, finished, heard, opened, text2music
from support.tiny import shapes as checkpoint_shapes
from support.tiny import weights as tiny_weights


@pytest.fixture
def planted(host, models):
    """Puts files into ComfyUI's models folders for one test: planted(kind, name) is the new path."""
    made = []

    def put(kind, name):
        path = host.base / "models" / kind / name
        made.append(path)
        return path

    yield put
    for path in reversed(made):
        for inside in sorted(path.rglob("*"), reverse=True):
            inside.rmdir() if inside.is_dir() else inside.unlink()
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def load_of(graph, **pickers):
    load = graph.add("AceGraphLoad", **{**TURBO, **pickers})
    graph.add("PreviewAny", source=load["report"])
    return load


FILES = {
    "model": ("diffusion_models", "acestep_v1.5_turbo.safetensors"),
    "text encoder": ("text_encoders", comfy_models.TEXT_FILE),
    "vae": ("vae", comfy_models.VAE_FILE),
}
PICKERS = {"model": "diffusion_models", "text_encoder": "text_encoders", "vae": "vae"}


@pytest.mark.parametrize(
    ("picker", "file", "problem"),
    [
        ("model", "text encoder", "misplaced.* is a language model, not an ACE-Step 1.5 model"),
        ("model", "vae", "misplaced.* is an Oobleck VAE, not an ACE-Step 1.5 model"),
        ("text_encoder", "model", "misplaced.* is an ACE-Step 1.5 model, not a Qwen3"),
        ("text_encoder", "vae", "misplaced.* is an Oobleck VAE, not a Qwen3"),
        ("vae", "model", "misplaced.* is an ACE-Step 1.5 model, not an Oobleck VAE"),
        ("vae", "text encoder", "misplaced.* is a language model, not an Oobleck VAE"),
    ],
)
def test_a_file_of_another_kind(trial, graph, models, planted, picker, file, problem):
    kind, name = FILES[file]
    path = planted(PICKERS[picker], "misplaced.safetensors")
    path.hardlink_to(models / "turbo" / "comfy" / kind / name)
    trial.refuses(graph, load_of(graph, **{picker: path.name}), problem)


def qwen_file(path, hidden=16, rows=151_669):
    """A Qwen3 of other sizes."""
    config = {**tiny_weights.TEXT_CONFIG, "hidden_size": hidden, "vocab_size": rows}
    shapes = checkpoint_shapes.qwen_shapes(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {f"model.{key}": torch.zeros(shape, dtype=torch.bfloat16) for key, shape in shapes.items()}, path
    )
    return config


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({"rows": 217_204}, "a planner"),
        ({"rows": 151_936}, "is another Qwen3: it knows 151936 tokens"),
        ({"hidden": 24}, "vectors have 24 channels, but the model works with 16"),
    ],
)
@pytest.mark.parametrize("in_folder", [False, True])
def test_the_text_encoder_of_another_model(host, trial, graph, planted, sizes, problem, in_folder):
    if in_folder:
        folder = planted("acestep", "other-qwen")
        config = qwen_file(folder / "model.safetensors", **sizes)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
        name = folder.name
    else:
        name = planted("text_encoders", "other.safetensors").name
        qwen_file(host.base / "models" / "text_encoders" / name, **sizes)
    trial.refuses(graph, load_of(graph, text_encoder=name), problem)


@pytest.mark.parametrize(
    ("picker", "name"),
    [("model", "planner"), ("vae", "planner"), ("model", "Qwen3-Embedding-0.6B"), ("model", "vae")],
)
def test_a_folder_of_another_kind(trial, graph, planted, picker, name):
    if name == "planner":
        folder = planted("acestep", name)
        config = qwen_file(folder / "model.safetensors", rows=217_204)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    trial.refuses(graph, load_of(graph, **{picker: name}), name)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda whole: whole[: len(whole) // 2], "cut off or damaged"),
        (lambda whole: whole[:6], "cut off or damaged"),
        (lambda whole: b"", "is empty"),
        (lambda whole: b"<html><body>404</body></html>", "is a web page"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
        (lambda whole: b"PK\x03\x04" + whole[4:400], "PyTorch pickle"),
        (lambda whole: bytes([whole[0] ^ 255]) + whole[1:], "cut off or damaged"),
        (lambda whole: whole[:2] + b"\xff\xff\xff\xff\xff\xff" + whole[8:], "cut off or damaged"),
    ],
)
@pytest.mark.parametrize("picker", PICKERS)
def test_a_damaged_file(trial, graph, models, planted, picker, content, problem):
    kind, name = FILES[picker.replace("_", " ")]
    path = planted(PICKERS[picker], "damaged.safetensors")
    path.write_bytes(content((models / "turbo" / "comfy" / kind / name).read_bytes()))
    trial.refuses(graph, load_of(graph, **{picker: path.name}), f"damaged.safetensors .*{problem}")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors nor"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
        (
            lambda folder: (folder / "config.json").write_text("{}"),
            "acestep-v15-spoilt is no model but something unknown",
        ),
    ],
)
def test_a_folder_with_something_wrong(trial, graph, models, planted, spoil, problem):
    folder = planted("acestep", "acestep-v15-spoilt")
    folder.mkdir()
    for path in (models / "turbo" / "official" / "acestep-v15-turbo").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    trial.refuses(graph, load_of(graph, model=folder.name), problem)


def test_a_recording_that_is_no_sound_fails_at_load_audio_and_not_later(host, trial, graph):
    (host.base / "input" / "noise.wav").write_bytes(b"RIFF....")
    load = opened(graph)
    audio, latent = heard(graph, load, "noise.wav")
    finished(graph, load, encode(graph, load), latent)
    done = trial.run(graph)
    assert done.failure["node_id"] == audio.id


@pytest.fixture
def small_files():
    """A disk on which a file fits only up to 400 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["WAV 32-bit float", "FLAC 24-bit"])
def test_a_full_disk_leaves_no_half_file(host, trial, graph, small_files, form):
    song = text2music(graph)
    graph.change(song.save, format=form, filename_prefix=f"{form[:3]}/song")
    words = trial.refuses(graph, song.save, "song_00001_.* cannot be written to .*: File too large")
    assert "has room" in words
    assert list((host.base / "output" / form[:3]).iterdir()) == []
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    done = trial.run(graph)
    assert [path.is_file() for path in done.files(song.save)] == [True]
