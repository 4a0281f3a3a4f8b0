"""Whatever is wired wrongly is said in the failing node, problem and remedy in a sentence each, and the next run works."""

import json
import re
import resource
import uuid
from typing import ClassVar

import checkpoint_shapes
import comfy_models
import node_snapshot
import pytest
import task_graphs
import tiny_weights
import torch
from comfy_host import Runner
from graphs import Node
from safetensors.torch import save_file
from task_graphs import SECONDS, TURBO, encode, everything, finished, heard, opened, silence, text2music

NODES = json.loads(node_snapshot.FILE.read_text(encoding="utf-8"))
ERRORS = {"UnsupportedCheckpointError", "InvalidInputError", "InvalidAudioError"}
FRAMES = round(SECONDS * 25)
RATE = 48_000
NAN = float("nan")
OUTSIDE = [
    "../song",
    "a/../../song",
    "/tmp/song",
    "C:\\song",
    "..\\song",
    "\\\\host\\share\\song",
    "",
    "a\0b",
]


def sockets(kind, optional=None):
    """(node, input) of every input of a kind; `optional`: only those that are, or that are not."""
    return [
        (node, slot["name"])
        for node, entry in NODES.items()
        for slot in entry["inputs"]
        if slot["type"] in kind and optional in (None, slot["optional"])
    ]


@pytest.fixture(scope="module")
def runner(host, pack):
    """One executor for all tests, so that what is right stays cached."""
    codes = {"format": "ace-step-1.5-codes", "version": 1, "songs": [[5, 63_999] * 15]}
    (host.base / "input" / "codes.json").write_text(json.dumps(codes), encoding="utf-8")
    task_graphs.record(host.base / "input")
    yield Runner(host)
    host.module("comfy.model_management").unload_all_models()


@pytest.fixture
def nodes(runner, graph):
    """A graph of every node with every socket wired."""
    return everything(graph, "codes.json")


class Given:
    """A node that puts any value on a wire."""

    RETURN_TYPES = (",".join(sorted({slot["type"] for node in NODES.values() for slot in node["inputs"]})),)
    FUNCTION = "give"
    CATEGORY = "tests"
    values: ClassVar[dict] = {}

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  (ComfyUI's name)
        return {"required": {"key": ("STRING", {})}}

    def give(self, key):
        return (self.values[key],)


@pytest.fixture
def given(host, monkeypatch):
    """given(graph, value) is a link to any value."""
    monkeypatch.setitem(host.module("nodes").NODE_CLASS_MAPPINGS, "Given", Given)

    def put(graph, value):
        key = uuid.uuid4().hex
        Given.values[key] = value
        return graph.add("Given", key=key)[0]

    yield put
    Given.values.clear()


def check_words(done, node):
    """The node says one problem and one remedy, in a sentence each."""
    assert done.refused == ""
    assert done.failure, "it ran"
    assert done.failure["node_id"] == node.id, f"{done.failure['node_type']}: {done.error}"
    assert done.failure["exception_type"].rpartition(".")[2] in ERRORS, "".join(done.failure["traceback"])
    assert done.error.count("\n") == 1, done.error
    for line in done.error.split("\n"):
        assert re.fullmatch(r"[^\n]{8,400}[.]", line), line
        assert not re.search(r"[a-z]{3,}[.!?] [A-Z]", line), f"more than one sentence: {line}"
    return done.error


def refused(runner, graph, node, problem):
    """Run a graph with something wrong, and then one with nothing wrong."""
    done = runner(graph)
    words = check_words(done, node)
    assert re.search(problem, words.partition("\n")[0]), words
    return words


def plays(host, runner):
    graph = host.graph()
    text2music(graph, seconds=1.0, steps=1)
    done = runner(graph)
    assert done.success, done.error or done.refused


def the_whole_graph_plays(host, runner):
    graph = host.graph()
    everything(graph, "codes.json")
    done = runner(graph)
    assert done.success, done.error or done.refused


def node_of(link):
    return Node(link[0], ())


# --------------------------------------------------------------------------------------------- the graph of all
def test_the_graph_of_every_node_plays(host, runner, graph, nodes):
    done = runner(graph)
    assert done.success, done.error or done.refused
    assert set(nodes) == set(NODES)
    for kind, node in nodes.items():
        wires = {
            slot["name"] for slot in NODES[kind]["inputs"] if slot["type"].isupper() and slot["optional"]
        }
        assert wires <= set(graph.prompt[node.id]["inputs"]), kind


@pytest.mark.parametrize(
    ("kind", "name"),
    [(n, slot["name"]) for n, entry in NODES.items() for slot in entry["inputs"] if slot["optional"]],
)
def test_every_optional_input_can_be_left_out(runner, graph, nodes, kind, name):
    graph.change(nodes[kind], **{name: None})
    done = runner(graph)
    assert done.success, done.error or done.refused


@pytest.mark.parametrize(("kind", "name"), sockets({"COMBO"}))
def test_a_choice_that_no_longer_exists_is_named(host, runner, graph, nodes, kind, name):
    graph.change(nodes[kind], **{name: "it has gone"})
    refused(runner, graph, nodes[kind], "it has gone")
    the_whole_graph_plays(host, runner)


# --------------------------------------------------------------------------------------------- sound and latents
LATENTS = {
    "an image": torch.ones(1, 4, 64, 64),
    "a new image": torch.ones(1, 16, 64, 64),
    "ACE-Step 1": torch.ones(1, 8, 16, 60),
    "other channels": torch.ones(1, 128, 50),
    "nothing": torch.ones(1, 64, 0),
    "no songs": torch.ones(0, 64, 50),
    "nested": torch.nested.nested_tensor([torch.ones(64, 50), torch.ones(40, 50)], layout=torch.jagged),
    "no tensor": None,
    "NaN": torch.full((1, 64, FRAMES), NAN),
    "infinite": torch.full((1, 64, FRAMES), torch.inf),
}


@pytest.mark.parametrize("what", LATENTS)
@pytest.mark.parametrize(("kind", "name"), sockets({"LATENT"}))
def test_a_latent_of_something_else(host, runner, graph, nodes, given, kind, name, what):
    graph.change(nodes[kind], **{name: given(graph, {"samples": LATENTS[what]})})
    refused(runner, graph, nodes[kind], "latent|timbre|Timbre|source|start_from")
    the_whole_graph_plays(host, runner)


@pytest.mark.parametrize("maker", ["EmptyLatentImage", "EmptySD3LatentImage"])
def test_the_empty_latent_of_an_image_as_comfyui_makes_it(host, runner, graph, given, maker):
    load = opened(graph)
    image = graph.add(maker, width=512, height=512)
    song = finished(graph, load, encode(graph, load), image[0])
    words = refused(runner, graph, song.sampler, r"shape \[1, (4|16), 64, 64\]")
    assert "not one of an image" in words
    plays(host, runner)


SOUNDS = {
    "None": None,
    "no waveform": {"waveform": None, "sample_rate": RATE},
    "0 samples": {"waveform": torch.ones(1, 2, 0), "sample_rate": RATE},
    "no sounds": {"waveform": torch.ones(0, 2, RATE), "sample_rate": RATE},
    "no channels": {"waveform": torch.ones(1, 0, RATE), "sample_rate": RATE},
    "NaN": {"waveform": torch.full((1, 2, round(SECONDS * RATE)), NAN), "sample_rate": RATE},
    "a rate of 0": {"waveform": torch.ones(1, 2, RATE), "sample_rate": 0},
    "no rate": {"waveform": torch.ones(1, 2, RATE)},
}


@pytest.mark.parametrize("what", SOUNDS)
@pytest.mark.parametrize(("kind", "name"), sockets({"AUDIO"}))
def test_a_sound_that_is_none(host, runner, graph, nodes, given, kind, name, what):
    graph.change(nodes[kind], **{name: given(graph, SOUNDS[what])})
    refused(runner, graph, nodes[kind], "audio|reference|original|song|Song|sound")
    the_whole_graph_plays(host, runner)


def test_a_video_without_sound_is_said(host, runner, graph, given):
    load = opened(graph)
    node = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=given(graph, None))
    graph.add("PreviewAny", source=node["report"])
    assert "video without sound" in refused(runner, graph, node, "holds no sound")
    plays(host, runner)


def test_eleven_minutes_are_too_long_for_every_node_that_plays_them(host, runner, graph, given):
    load = opened(graph)
    sound = {"waveform": torch.full((1, 1, 1), 0.1).expand(1, 2, 660 * RATE), "sample_rate": RATE}
    latent = {"samples": torch.full((1, 1, 1), 0.1).expand(1, 64, 660 * 25)}
    wires = {"audio": given(graph, sound), "latent": given(graph, latent)}
    encoded = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=wires["audio"])
    heard = graph.add("AceGraphAudioToCodes", model=load["model"], latent=wires["latent"])
    longer = graph.add(
        "AceGraphExtend", model=load["model"], latent=silence(graph, load, 1, 599.0), after=60.0
    )
    song = finished(graph, load, encode(graph, load), wires["latent"])
    for node, output in ((encoded, "latent"), (heard, "codes"), (longer, "latent"), (song.sampler, "latent")):
        alone = {key: entry for key, entry in graph.prompt.items() if int(key) <= int(node.id)}
        shown = {"class_type": "PreviewAny", "inputs": {"source": node[output]}}
        words = refused(
            runner, {**alone, "99": shown}, node, r"lasts 6\d\d s, and the model plays up to 600 s"
        )
        assert "Trim Audio Duration" in words
    plays(host, runner)


# --------------------------------------------------------------------------------------------- numbers by wire
@pytest.mark.parametrize(("kind", "name"), sockets({"INT", "FLOAT"}))
def test_a_number_beyond_its_bounds_that_comes_by_wire_is_played_or_refused_in_words(
    host, runner, graph, nodes, given, kind, name
):
    slot = next(slot for slot in NODES[kind]["inputs"] if slot["name"] == name)
    values = [slot["min"] - 1, slot["max"] + 1, *([NAN] if slot["type"] == "FLOAT" else [])]
    for value in values:
        graph.change(nodes[kind], **{name: given(graph, value)})
        done = runner(graph)
        if not done.success:
            assert check_words(done, node_failing(done))
    the_whole_graph_plays(host, runner)


def node_failing(done):
    return Node(done.failure["node_id"], ())


# --------------------------------------------------------------------------------------------- the sampler's wishes
def repaint_of(graph, task, mask=None):
    load = opened(graph)
    _, latent = heard(graph, load)
    more = {"mask": mask} if mask else {}
    return finished(graph, load, encode(graph, load, task, source=latent), latent, **more), latent


@pytest.mark.parametrize("task", ["repaint", "extend"])
def test_repaint_and_extend_without_a_mask(host, runner, graph, task):
    song, _ = repaint_of(graph, task)
    assert "Chunk Mask" in refused(runner, graph, song.sampler, f"The task {task} has no mask")
    plays(host, runner)


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (torch.zeros(1, 1, FRAMES), "marks nothing to generate"),
        (torch.ones(1, 1, FRAMES - 1), f"{FRAMES - 1} frames, the latent {FRAMES}"),
        (torch.ones(1, 512, 512), f"512 frames, the latent {FRAMES}"),
        (torch.ones(3, 1, FRAMES), "for 3 songs"),
        (torch.full((1, 1, FRAMES), NAN), "NaN"),
        (torch.ones(1, 1, 1, FRAMES), "mask"),
        (torch.ones(0, 1, FRAMES), "mask"),
        (torch.tensor(1.0), "mask"),
    ],
)
def test_a_mask_of_another_song(host, runner, graph, given, mask, problem):
    song, _ = repaint_of(graph, "repaint", given(graph, mask))
    refused(runner, graph, song.sampler, problem)
    plays(host, runner)


@pytest.mark.parametrize(
    "mask", [torch.ones(1, 1, FRAMES + 3), torch.ones(2, 1, FRAMES), torch.ones(1, 512, 512)]
)
def test_a_mask_of_another_song_at_splice(host, runner, graph, given, mask):
    audio = graph.add("LoadAudio", audio=task_graphs.RECORDING)
    splice = graph.add("AceGraphSplice", new=audio[0], original=audio[0], mask=given(graph, mask))
    graph.add("PreviewAudio", audio=splice["audio"])
    refused(runner, graph, splice, "mask")
    plays(host, runner)


@pytest.mark.parametrize(("start", "end"), [(6.0, 7.0), (9.0, -1.0), (2.0, 2.0), (3.0, 1.0)])
def test_a_span_outside_of_the_song(host, runner, graph, start, end):
    load = opened(graph)
    mask = graph.add("AceGraphChunkMask", latent=silence(graph, load), start=start, end=end)
    graph.add("MaskPreview", mask=mask["mask"])
    refused(runner, graph, mask, f"{start:g} to .* holds no latent frame of a 6 s song")
    plays(host, runner)


@pytest.mark.parametrize(
    ("task", "tracks"), [("extract", "vocals"), ("lego", "drums"), ("complete", "drums")]
)
def test_a_task_that_a_turbo_checkpoint_has_not_learnt(host, runner, graph, task, tracks):
    load = opened(graph)
    _, latent = heard(graph, load)
    song = finished(graph, load, encode(graph, load, task, tracks=tracks), latent)
    words = refused(runner, graph, song.sampler, f"turbo checkpoint has not learnt the task {task}")
    assert "base checkpoint" in words
    plays(host, runner)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"task": "extract", "tracks": "drums, bass"}, "extract"),
        ({"task": "lego", "tracks": "kazoo"}, "no track 'kazoo'"),
        ({"bpm": 7}, "7"),
    ],
)
def test_a_brief_that_cannot_be_told(host, runner, graph, fields, problem):
    load = opened(graph)
    conditions = encode(graph, load, **fields)
    graph.add("PreviewAny", source=conditions)
    refused(runner, graph, node_of(conditions), problem)
    plays(host, runner)


def test_no_words_at_all_are_a_song_too(runner, graph):
    load = opened(graph)
    conditions = encode(graph, load, caption="", lyrics="", tracks="", global_caption="")
    finished(graph, load, conditions, silence(graph, load, seconds=1.0))
    done = runner(graph)
    assert done.success, done.error


def test_a_weak_cover_without_second_conditions(host, runner, graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    song = finished(graph, load, encode(graph, load, "cover"), latent, cover_strength=0.7)
    words = refused(runner, graph, song.sampler, "cover strength of 0.7 hands over to second conditions")
    assert "text2music" in words
    plays(host, runner)


@pytest.mark.parametrize(("songs", "second"), [(3, False), (3, True)])
def test_another_number_of_conditions_than_of_songs(host, runner, graph, songs, second):
    load = opened(graph)
    one = encode(graph, load)
    two = graph.add("AceGraphBatchConditions", first=one, second=one)["conditions"]
    more = {"second_conditions": two, "cover_strength": 0.5} if second else {}
    song = finished(graph, load, one if second else two, silence(graph, load, songs), **more)
    graph.change(song.save, conditions=None)
    refused(runner, graph, song.sampler, r"There are 2 (second )?conditions for 3 songs")
    plays(host, runner)


def test_another_number_of_conditions_than_of_saved_songs(host, runner, graph):
    load = opened(graph)
    one = encode(graph, load)
    two = graph.add("AceGraphBatchConditions", first=one, second=one)["conditions"]
    song = finished(graph, load, one, silence(graph, load, 3))
    graph.change(song.save, conditions=two)
    refused(runner, graph, song.save, "3 songs came with 2 conditions")
    plays(host, runner)


def test_noise_for_another_number_of_songs(host, runner, graph):
    load = opened(graph)
    retake = graph.add("AceGraphRetake", songs=2)
    song = finished(graph, load, encode(graph, load), silence(graph, load, 3), noise=retake["noise"])
    refused(runner, graph, song.sampler, "2 seeds for 3 songs")
    plays(host, runner)


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ([0.2, 0.5, 1.0], "do not fall"),
        ([1.0, 0.5, 0.5, 0.0], "do not fall"),
        ([14.6, 3.0, 0.03, 0.0], "do not fall from at most 1"),
        ([1.0, 0.5, -0.1], "do not fall"),
        ([1.0, NAN, 0.0], "do not fall"),
        ([], "none"),
        ([0.6, 0.3, 0.0], "begin at 0.6"),
    ],
)
def test_times_that_make_no_schedule(host, runner, graph, given, times, problem):
    load = opened(graph)
    sigmas = given(graph, torch.tensor(times))
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=sigmas)
    refused(runner, graph, song.sampler, problem)
    plays(host, runner)


def test_sigmas_as_comfyui_flips_them(host, runner, graph):
    load = opened(graph)
    karras = graph.add("KarrasScheduler", steps=4, sigma_max=1.0, sigma_min=0.1)
    flipped = graph.add("FlipSigmas", sigmas=karras[0])
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=flipped[0])
    refused(runner, graph, song.sampler, "do not fall")
    plays(host, runner)


def test_music_of_another_length_to_start_from(host, runner, graph):
    load = opened(graph)
    start = silence(graph, load, seconds=5.0)
    song = finished(
        graph, load, encode(graph, load), silence(graph, load), start_from=start, noise_strength=0.5
    )
    refused(runner, graph, song.sampler, "start_from lasts 5 s, the source 6 s")
    plays(host, runner)


def test_a_song_encoded_as_a_timbre(host, runner, graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    conditions = encode(graph, load, timbre=latent)
    graph.add("PreviewAny", source=conditions)
    assert "Reference Timbre" in refused(runner, graph, node_of(conditions), "Timbre references")
    plays(host, runner)


def test_conditions_of_another_model(host, runner, graph, given, pack):
    core = pack.acestep_core
    brief, task = core.prompts.Brief("a song"), core.tasks.TASKS["text2music"]
    foreign = (core.conditions.Condition(torch.zeros(9, 40), task, brief),)
    load = opened(graph)
    song = finished(graph, load, given(graph, foreign), silence(graph, load))
    refused(runner, graph, song.sampler, "conditions")
    plays(host, runner)


# --------------------------------------------------------------------------------------------- codes
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "audio code"),
        ("la la la", "audio code"),
        ("<|audio_code_64000|>", "64000"),
        ("<|audio_code_1|><|audio_code_", "broken code"),
    ],
)
def test_codes_that_are_none(host, runner, graph, text, problem):
    read = graph.add("AceGraphCodesFromText", text=text)
    graph.add("AceGraphSaveCodes", codes=read["codes"])
    refused(runner, graph, read, problem)
    plays(host, runner)


@pytest.mark.parametrize(
    "items", [(torch.tensor([64_000]),), (torch.tensor([-1]),), (torch.tensor([], dtype=int),)]
)
def test_codes_by_wire_that_no_song_has(host, runner, graph, nodes, given, pack, items):
    wrong = pack.nodes.sockets.CodeList(items)
    graph.change(nodes["AceGraphCodesToLatent"], codes=given(graph, wrong))
    refused(runner, graph, nodes["AceGraphCodesToLatent"], "code")
    the_whole_graph_plays(host, runner)


# --------------------------------------------------------------------------------------------- files
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
def test_a_file_of_another_kind(host, runner, graph, models, planted, picker, file, problem):
    kind, name = FILES[file]
    path = planted(PICKERS[picker], "misplaced.safetensors")
    path.hardlink_to(models / "turbo" / "comfy" / kind / name)
    refused(runner, graph, load_of(graph, **{picker: path.name}), problem)
    plays(host, runner)


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
        ({"rows": 217_204}, "is a planner: it knows 217204 tokens"),
        ({"rows": 151_936}, "is another Qwen3: it knows 151936 tokens"),
        ({"hidden": 24}, "vectors have 24 channels, but the model works with 16"),
    ],
)
@pytest.mark.parametrize("in_folder", [False, True])
def test_the_text_encoder_of_another_model(host, runner, graph, planted, sizes, problem, in_folder):
    if in_folder:
        folder = planted("acestep", "other-qwen")
        config = qwen_file(folder / "model.safetensors", **sizes)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
        name = folder.name
    else:
        name = planted("text_encoders", "other.safetensors").name
        qwen_file(host.base / "models" / "text_encoders" / name, **sizes)
    refused(runner, graph, load_of(graph, text_encoder=name), problem)
    plays(host, runner)


@pytest.mark.parametrize(
    ("picker", "name"),
    [("model", "planner"), ("vae", "planner"), ("model", "Qwen3-Embedding-0.6B"), ("model", "vae")],
)
def test_a_folder_of_another_kind(host, runner, graph, planted, picker, name):
    if name == "planner":
        folder = planted("acestep", name)
        config = qwen_file(folder / "model.safetensors", rows=217_204)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused(runner, graph, load_of(graph, **{picker: name}), name)
    plays(host, runner)


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
def test_a_damaged_file(host, runner, graph, models, planted, picker, content, problem):
    kind, name = FILES[picker.replace("_", " ")]
    path = planted(PICKERS[picker], "damaged.safetensors")
    path.write_bytes(content((models / "turbo" / "comfy" / kind / name).read_bytes()))
    refused(runner, graph, load_of(graph, **{picker: path.name}), f"damaged.safetensors .*{problem}")
    plays(host, runner)


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
def test_a_folder_with_something_wrong(host, runner, graph, models, planted, spoil, problem):
    folder = planted("acestep", "acestep-v15-spoilt")
    folder.mkdir()
    for path in (models / "turbo" / "official" / "acestep-v15-turbo").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    refused(runner, graph, load_of(graph, model=folder.name), problem)
    plays(host, runner)


def test_a_recording_that_is_no_sound_fails_at_load_audio_and_not_later(host, runner, graph):
    (host.base / "input" / "noise.wav").write_bytes(b"RIFF....")
    load = opened(graph)
    audio, latent = heard(graph, load, "noise.wav")
    finished(graph, load, encode(graph, load), latent)
    done = runner(graph)
    assert done.failure["node_id"] == audio.id
    plays(host, runner)


@pytest.mark.parametrize("prefix", OUTSIDE)
@pytest.mark.parametrize("kind", ["AceGraphSaveAudio", "AceGraphSaveCodes"])
def test_a_prefix_that_tries_to_leave_the_output_folder(host, runner, graph, nodes, kind, prefix):
    before = set(host.base.parent.rglob("*song*"))
    graph.change(nodes[kind], filename_prefix=prefix)
    refused(runner, graph, nodes[kind], "is no name in the output folder")
    new = set(host.base.parent.rglob("*song*")) - before
    assert all(path.is_relative_to(host.base / "output") for path in new)
    the_whole_graph_plays(host, runner)


@pytest.fixture
def small_files():
    """A disk on which a file fits only up to 400 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["WAV 32-bit float", "FLAC 24-bit"])
def test_a_full_disk_leaves_no_half_file(host, runner, graph, small_files, form):
    song = text2music(graph)
    graph.change(song.save, format=form, filename_prefix=f"{form[:3]}/song")
    words = refused(runner, graph, song.save, "song_00001_.* cannot be written to .*: File too large")
    assert "has room" in words
    assert list((host.base / "output" / form[:3]).iterdir()) == []
    plays(host, runner)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    done = runner(graph)
    assert [path.is_file() for path in done.files(song.save)] == [True]
