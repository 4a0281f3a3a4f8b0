"""Laws of every socket and widget, on a graph in which every node occurs: left out, of a wrong kind, out of bounds."""

import re
from contextlib import contextmanager

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.task_graphs import BRIEF
from support.comfyui.trial import CODES_FILE, NODES, given, sockets, words_of

pytestmark = pytest.mark.usefixtures("short_texts")

FRAMES = round(BRIEF * 25)
RATE = 48_000
NAN = float("nan")
LATENTS = {
    "of an image": torch.ones(1, 4, 64, 64),
    "of a newer image model": torch.ones(1, 16, 64, 64),
    "of ACE-Step 1": torch.ones(1, 8, 16, 60),
    "of other channels": torch.ones(1, 128, 50),
    "of no length": torch.ones(1, 64, 0),
    "of no songs": torch.ones(0, 64, 50),
    "nested": torch.nested.nested_tensor([torch.ones(64, 50), torch.ones(40, 50)], layout=torch.jagged),
    "without a tensor": None,
    "of NaN": torch.full((1, 64, FRAMES), NAN),
    "of infinity": torch.full((1, 64, FRAMES), torch.inf),
}
HALVES = {  # inputs that are nothing without another one
    "AceGraphScoreTakes": ("planner", "codes", "model", "latent"),
}
SOUNDS = {
    "None": None,
    "no waveform": {"waveform": None, "sample_rate": RATE},
    "0 samples": {"waveform": torch.ones(1, 2, 0), "sample_rate": RATE},
    "no sounds": {"waveform": torch.ones(0, 2, RATE), "sample_rate": RATE},
    "no channels": {"waveform": torch.ones(1, 0, RATE), "sample_rate": RATE},
    "NaN": {"waveform": torch.full((1, 2, round(BRIEF * RATE)), NAN), "sample_rate": RATE},
    "a rate of 0": {"waveform": torch.ones(1, 2, RATE), "sample_rate": 0},
    "no rate": {"waveform": torch.ones(1, 2, RATE)},
}
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


def slots(kind, *types):
    """A node's inputs of these types."""
    return [slot for slot in NODES[kind]["inputs"] if slot["type"] in types]


def nodes_with(*types):
    return [kind for kind in NODES if slots(kind, *types)]


@contextmanager
def changed(graph, node, name, value):
    """Inside, an input has another value."""
    right = graph.prompt[node.id]["inputs"][name]
    graph.change(node, **{name: value})
    yield
    graph.change(node, **{name: right})


@pytest.fixture
def whole(trial, graph):
    """The graph of every node; class -> the node."""
    return task_graphs.everything(graph, CODES_FILE)


def test_the_graph_of_every_node_plays_with_every_socket_wired(trial, graph, whole):
    trial.plays(graph)
    assert set(whole) == set(NODES)
    for kind, node in whole.items():
        assert {slot["name"] for slot in NODES[kind]["inputs"]} == set(graph.prompt[node.id]["inputs"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, slot["name"]) for kind in NODES for slot in NODES[kind]["inputs"] if slot["optional"]],
)
def test_every_optional_input_can_be_left_out(trial, graph, whole, kind, name):
    graph.change(whole[kind], **{name: None})
    if name in HALVES.get(kind, ()):
        trial.fails(graph, whole[kind], f"and {name} belongs to it")
    else:
        trial.plays(graph)


@pytest.mark.parametrize("kind", nodes_with("COMBO"))
def test_a_choice_that_no_longer_exists_is_named(trial, graph, whole, kind):
    for slot in slots(kind, "COMBO"):
        with changed(graph, whole[kind], slot["name"], "it has gone"):
            trial.fails(graph, whole[kind], "it has gone")
    trial.plays_everything()


@pytest.mark.parametrize(("kind", "name"), sockets("LATENT"))
def test_a_latent_that_is_none_of_ours_is_refused(trial, graph, whole, kind, name):
    for what, samples in LATENTS.items():
        graph.change(whole[kind], **{name: given(graph, {"samples": samples, "type": what})})
        trial.fails(graph, whole[kind], f"The {name} ")
    trial.plays_everything()


@pytest.mark.parametrize(("kind", "name"), sockets("AUDIO"))
def test_a_sound_that_is_none_is_refused(trial, graph, whole, kind, name):
    (slot,) = [slot for slot in NODES[kind]["inputs"] if slot["name"] == name]
    for what, sound in SOUNDS.items():
        if what == "None" and slot["optional"]:
            continue  # as if nothing were wired
        graph.change(whole[kind], **{name: given(graph, sound)})
        trial.fails(graph, whole[kind], "audio|sound|song|original|reference")
    trial.plays_everything()


@pytest.mark.parametrize("kind", nodes_with("INT", "FLOAT"))
def test_a_number_out_of_bounds_that_comes_by_wire_is_refused(trial, graph, whole, kind):
    for slot in slots(kind, "INT", "FLOAT"):
        for value in (slot["min"] - 1, slot["max"] + 1, *([NAN] if slot["type"] == "FLOAT" else [])):
            with changed(graph, whole[kind], slot["name"], given(graph, value)):
                assert re.match(r"The .+ is ", words_of(trial.run(graph), whole[kind])), slot["name"]
    trial.plays_everything()


@pytest.mark.parametrize("items", [[64_000], [-1], []])
def test_codes_that_no_song_has_are_refused(trial, graph, whole, pack, items):
    wrong = pack.nodes.wires.sockets.CodeList((torch.tensor(items, dtype=torch.int64),))
    graph.change(whole["AceGraphCodesToLatent"], codes=given(graph, wrong))
    trial.fails(graph, whole["AceGraphCodesToLatent"], "codes")
    trial.plays_everything()


@pytest.mark.parametrize("kind", ["AceGraphSaveAudio", "AceGraphSaveCodes"])
def test_a_prefix_never_leaves_the_output_folder(host, trial, graph, whole, kind):
    before = set(host.base.parent.rglob("*song*"))
    for prefix in OUTSIDE:
        graph.change(whole[kind], filename_prefix=prefix)
        trial.fails(graph, whole[kind], "is no name in the output folder")
    new = set(host.base.parent.rglob("*song*")) - before
    assert all(path.is_relative_to(host.base / "output") for path in new)
    trial.plays_everything()
