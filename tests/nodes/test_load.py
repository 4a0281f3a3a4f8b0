"""Load ACE-Step opens every layout, to the same music, and says in a sentence what is missing."""

import re

import pytest
import torch
from safetensors.torch import save_file

from support.comfyui import models as comfy_models
from support.comfyui.fake_gpu import pretend_gpu
from support.tiny.checkpoint import tiny_model
from support.tiny.spellings import stable_audio_names

LAYOUTS = comfy_models.layouts()


def loaded(run_graph, host, **pickers):
    graph = host.graph()
    load = graph.add("AceGraphLoad", **{"weight_dtype": "fp32", **pickers})
    graph.add("PreviewAny", source=load["report"])
    return run_graph(graph), load


def song(host, run_graph, **pickers):
    """The latent of a short song."""
    graph = host.graph()
    load = graph.add("AceGraphLoad", weight_dtype="fp32", **pickers)
    conditions = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], caption="slow piano"
    )
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=6.0)
    sampler = graph.add(
        "AceGraphSampler",
        model=load["model"],
        conditions=conditions["conditions"],
        source=source["latent"],
        steps=2,
    )
    graph.add("SaveLatent", samples=sampler["latent"])
    done = run_graph(graph)
    assert done.success, done.error
    return done[sampler["latent"]]["samples"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "official"])
def test_every_layout_plays_the_same_music(host, run_graph, layout):
    official = song(host, run_graph, **LAYOUTS["official"])
    other = song(host, run_graph, **LAYOUTS[layout])
    # single files take ComfyUI's vocabulary, folders the tiny one: the words differ there, so only finite is asked
    if layout == "diffusers":
        assert torch.equal(official, other)
    assert other.shape == official.shape
    assert torch.isfinite(other).all()


def test_the_single_files_play_the_same_music_as_each_other(host, run_graph):
    assert torch.equal(song(host, run_graph, **LAYOUTS["aio"]), song(host, run_graph, **LAYOUTS["split"]))


def test_the_report_says_what_was_opened(host, run_graph):
    done, load = loaded(run_graph, host, **LAYOUTS["official"])
    assert done.success, done.error
    report = done[load["report"]]
    assert report.startswith("acestep-v15-turbo: turbo")
    assert "transformer: " in report
    assert "fp32" in report


def test_the_pickers_offer_models_only(host, pack):
    inputs = host.info("AceGraphLoad")["input"]["required"]
    models, texts, vaes = (inputs[name][1]["options"] for name in ("model", "text_encoder", "vae"))
    assert {"acestep-v15-turbo", "diffusers-base", "ace_step_1.5_turbo_aio.safetensors"} <= set(models)
    assert not any("Qwen3" in name or name == "vae" or "/" in name for name in models)
    assert {"auto", "Qwen3-Embedding-0.6B", comfy_models.TEXT_FILE} <= set(texts)
    assert {"auto", "vae", comfy_models.VAE_FILE} <= set(vaes)


SPELLINGS = {  # how published VAEs with other weights are spelt: as diffusers has them, and both ways of stable-audio
    "diffusers": lambda vae: vae,
    "stable-audio": stable_audio_names,
    "stable-audio, parametrised": lambda vae: stable_audio_names(vae, parametrized=True),
}


def other_vae(host, name, spell=SPELLINGS["diffusers"], change=lambda vae: vae):
    """A file in models/vae with the layout of our VAE and weights of its own."""
    vae = {
        key: weight * 1.25 if key.endswith("weight_g") else weight for key, weight in tiny_model().vae.items()
    }
    save_file(
        {key: w.contiguous() for key, w in spell(change(vae)).items()}, host.base / "models" / "vae" / name
    )
    return name


def decoded(host, run_graph, vae):
    graph = host.graph()
    load = graph.add("AceGraphLoad", **{**LAYOUTS["split"], "weight_dtype": "fp32", "vae": vae})
    latent = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=2.0)
    sound = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=latent["latent"])
    graph.add("PreviewAny", source=load["report"])
    graph.add("PreviewAudio", audio=sound["audio"])
    done = run_graph(graph)
    assert done.success, done.error
    return done[sound["audio"]]["waveform"], done[load["report"]]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_vae_of_the_same_layout_drops_in_and_is_named(host, run_graph, spelling):
    name = other_vae(host, f"drop_in_{list(SPELLINGS).index(spelling)}.safetensors", SPELLINGS[spelling])
    own, report = decoded(host, run_graph, comfy_models.VAE_FILE)
    other, told = decoded(host, run_graph, name)
    assert comfy_models.VAE_FILE in report
    assert re.search(rf"^VAE: .*, from {re.escape(name)}$", told, re.MULTILINE)
    assert own.shape == other.shape
    assert other.isfinite().all()
    assert (own - other).abs().max() > 1e-4


def without_a_snake(vae):
    return {key: weight for key, weight in vae.items() if key != "decoder.snake1.alpha"}


def with_a_gate(vae):
    return {**vae, "decoder.gate.weight": torch.zeros(3)}


@pytest.mark.parametrize("change", [without_a_snake, with_a_gate])
def test_a_vae_of_another_layout_is_refused_in_two_sentences(host, run_graph, change):
    name = other_vae(host, f"{change.__name__}.safetensors", change=change)
    done, _ = loaded(run_graph, host, **{**LAYOUTS["split"], "vae": name})
    assert not done.success
    problem, remedy = done.error.split("\n")[:2]
    assert "snake1" in problem or "gate" in problem
    assert remedy.endswith(".")


@pytest.mark.parametrize("dtype", ["auto", "bf16", "fp16", "fp32", "fp8_e4m3fn", "fp8_e5m2"])
def test_every_weight_dtype_plays(host, run_graph, dtype):
    graph = host.graph()
    load = graph.add("AceGraphLoad", weight_dtype=dtype, **LAYOUTS["official"])
    conditions = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], caption="slow piano"
    )
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=6.0)
    sampler = graph.add(
        "AceGraphSampler",
        model=load["model"],
        conditions=conditions["conditions"],
        source=source["latent"],
        steps=2,
    )
    graph.add("SaveLatent", samples=sampler["latent"])
    done = run_graph(graph)
    assert done.success, done.error
    assert torch.isfinite(done[sampler["latent"]]["samples"]).all()


@pytest.fixture
def whole_download(host, models):
    """The official repository in a folder of its own, whose top has a config.json but no weights."""
    folder = host.base / "models" / "acestep" / "Ace-Step1.5"
    folder.symlink_to(models / "turbo" / "official")
    assert (folder / "config.json").is_file()
    yield folder.name
    folder.unlink()


def test_a_whole_download_is_looked_into(host, pack, run_graph, whole_download):
    inputs = host.info("AceGraphLoad")["input"]["required"]
    found = {
        name: [o for o in inputs[name][1]["options"] if whole_download in o] for name in ("model", "vae")
    }
    assert found == {"model": [f"{whole_download}/acestep-v15-turbo"], "vae": [f"{whole_download}/vae"]}
    planners = host.info("AceGraphLoadPlanner")["input"]["required"]["planner"][1]["options"]
    assert f"{whole_download}/{comfy_models.PLANNER_FOLDER}" in planners
    song(host, run_graph, model=f"{whole_download}/acestep-v15-turbo")


@pytest.mark.parametrize(
    ("kind", "name"), [("vae", comfy_models.VAE_FILE), ("text_encoders", comfy_models.TEXT_FILE)]
)
def test_split_files_find_the_usual_ones_in_subfolders_too(host, run_graph, kind, name):
    plain = host.base / "models" / kind / name
    nested = plain.parent / "AceStep" / name
    nested.parent.mkdir()
    plain.rename(nested)
    try:
        song(host, run_graph, model="acestep_v1.5_turbo.safetensors")
    finally:
        nested.rename(plain)
        nested.parent.rmdir()


def test_split_files_find_the_usual_text_encoder_and_vae(host, run_graph):
    done, _ = loaded(run_graph, host, model="acestep_v1.5_turbo.safetensors")
    assert done.success, done.error


@pytest.mark.parametrize(
    ("pickers", "message"),
    [
        ({"model": "gone.safetensors"}, "There is no 'gone.safetensors' in models/acestep"),
        ({"model": "../../etc/passwd"}, "There is no '../../etc/passwd'"),
        ({"model": ""}, "There is no ''"),
        ({"model": "."}, "There is no '.'"),
        ({"model": "put a model into models/acestep"}, "No ACE-Step model is installed"),
        ({"model": "acestep-v15-turbo", "vae": "qwen.safetensors"}, "There is no 'qwen.safetensors'"),
        ({"model": "acestep-v15-turbo", "weight_dtype": "int3"}, "There is no weight dtype 'int3'"),
        ({"model": "acestep-v15-turbo", "variant": "ultra"}, "There is no variant 'ultra' here"),
        ({"model": "acestep-v15-turbo", "text_encoder": "vae"}, "vae is no text encoder"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_a_sentence(trial, graph, pickers, message):
    load = graph.add("AceGraphLoad", **{"weight_dtype": "fp32", **pickers})
    graph.add("PreviewAny", source=load["report"])
    trial.fails(graph, load, re.escape(message))


def test_fp16_on_a_cpu_becomes_fp32_and_that_is_said(host, run_graph):
    graph = host.graph()
    load = graph.add("AceGraphLoad", weight_dtype="fp16", **LAYOUTS["official"])
    planner = graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="fp16")
    for node in (load, planner):
        graph.add("PreviewAny", source=node["report"])
    done = run_graph(graph)
    for node in (load, planner):
        assert done[node["report"]].endswith("fp16 was asked for, but is slow on CPUs: fp32 takes its place.")


@pytest.mark.parametrize("native", [torch.bfloat16, torch.float32])
def test_bf16_is_called_slow_where_the_processor_lacks_it(pack, graph, run_graph, monkeypatch, native):
    monkeypatch.setattr(pack.nodes.host.runtime, "cpu_dtype", lambda: native)
    load = graph.add("AceGraphLoad", weight_dtype="bf16", **LAYOUTS["official"])
    planner = graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="bf16")
    for node in (load, planner):
        graph.add("PreviewAny", source=node["report"])
    done = run_graph(graph)
    for node in (load, planner):
        assert ("several times more slowly: choose auto." in done[node["report"]]) == (
            native is torch.float32
        )


@pytest.mark.parametrize("kind", ["AceGraphLoad", "AceGraphLoadPlanner"])
def test_fp8_is_refused_where_it_cannot_be_held(host, run_graph, monkeypatch, kind):
    mm = host.module("comfy.model_management")
    monkeypatch.setattr(mm, "supports_cast", lambda device, dtype: dtype.itemsize > 1)
    graph = host.graph()
    picked = LAYOUTS["official"] if kind == "AceGraphLoad" else {"planner": comfy_models.PLANNER_FOLDER}
    node = graph.add(kind, weight_dtype="fp8_e4m3fn", **picked)
    graph.add("PreviewAny", source=node["report"])
    assert "cannot hold fp8_e4m3fn weights" in run_graph(graph).error


BF16, FP32, FP8 = torch.bfloat16, torch.float32, torch.float8_e4m3fn


@pytest.mark.parametrize(
    ("in_file", "wanted", "on_card", "on_cpu"),
    [
        (BF16, None, None, FP32),  # None: as in the file
        (FP8, None, None, None),
        (FP32, None, FP32, FP32),
        (BF16, FP32, FP32, FP32),
        (FP8, BF16, FP32, FP32),
    ],
)
def test_a_card_without_bf16_keeps_small_weights_small(host, pack, in_file, wanted, on_card, on_cpu):
    storage, role = pack.nodes.runs.precision.storage, pack.nodes.host.runtime.Role.TRANSFORMER
    assert storage(role, in_file, wanted, FP32) == on_cpu
    with pretend_gpu(64):
        assert storage(role, in_file, wanted, FP32) == on_card


def test_what_a_device_cannot_cast_is_cast_beforehand(host, pack, monkeypatch):
    monkeypatch.setattr(pack.nodes.host.runtime, "keeps", lambda role, dtype: dtype.itemsize > 1)
    role = pack.nodes.host.runtime.Role.TRANSFORMER
    assert pack.nodes.runs.precision.storage(role, FP8, None, FP32) == FP32


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_a_silence_that_is_made_is_the_same_whatever_the_weights_are_kept_in(pack, monkeypatch, dtype):
    pickers = {"text_encoder": "auto", "vae": "auto", **LAYOUTS["split"]}
    made = []
    for kept in (torch.float32, pack.nodes.host.runtime.WEIGHT_DTYPES[dtype]):
        monkeypatch.setattr(pack.nodes.host.runtime, "compute_dtype", lambda role, _, kept=kept: kept)
        model, _, vae, _ = pack.nodes.load.Load.execute(**pickers, weight_dtype="auto").result
        assert vae.vae.dtype == kept
        made.append(model.silence.stored)
    assert torch.equal(*made)
