"""The example workflows as files and on the server: complete, well laid out, and every one plays."""

import io
import json

import numpy as np
import pytest
import soundfile

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, apart
from support.comfyui.task_graphs import HEADS
from tools.templates.names import file_of
from tools.workflows import build as example_workflows
from tools.workflows import recording
from tools.workflows.page import PACK

FOLDER = comfy_host.PACK / "example_workflows"
NAMES = [page.__name__ for page in example_workflows.PAGES]
NOT_YET = set()  # nodes that no workflow uses
FILES_OF = {"AceGraphLoad": 3, "AceGraphLoadPlanner": 1}  # how many of the first widgets name files
PEAK = 10 ** (-1 / 20)
HEARD = recording.SECONDS
SHORT = 10.0  # seconds of a planned song: a code after the other takes its time
BRIEF = 6.0  # seconds of a song from silence, whatever its page asks for
KEPT = {"repaint": ((0, 6), (10, HEARD)), "extend": ((0, HEARD),)}  # seconds of the recording that stay
LISTENERS = {"AceGraphLyricTimes", "AceGraphScoreTakes"}  # the tiny checkpoint has no published heads
PLANNERS = {"AceGraphPlan", "AceGraphInspire"}
SECONDS = {  # of the songs that a workflow plays, in the order of its players
    "song": [45.0],
    "song_chinese": [45.0],
    "instrumental": [40.0],
    "inspire": [SHORT],
    "cover": [HEARD],
    "repaint": [HEARD],
    "extend": [HEARD + 12],
    "stems": [HEARD] * 12,
    "lego": [HEARD] * 2,
    "complete": [HEARD],
    "retake": [30.0] * 4,
    "reference_timbre": [30.0],
    "edit_words": [HEARD],
    "edit_style": [HEARD],
    "two_styles": [30.0] * 2,
    "cover_strengths": [HEARD] * 3,
    "plan": [SHORT],
    "compose": [SHORT] * 4,
    "understand": [],
    "lora": [30.0],
    "two_loras": [30.0],
    "with_and_without": [20.0] * 3,
    "text2music": [45.0],
    "codes": [HEARD],
    "custom_schedule": [30.0],
    "ksampler": [30.0],
    "comfy_sampler": [30.0],
    "sheet": [15.0] * 6,
    "karaoke": [45.0],
    "best_of_four": [SHORT],
}


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def every_node(found):
    """Those of the page, and those inside of its boxes."""
    return [*found["nodes"], *(node for graph in boxes_of(found) for node in graph["nodes"])]


def boxes_of(found):
    return found.get("definitions", {}).get("subgraphs", ())


def prompt_of(server, name):
    prompt = api_form.prompt_of(workflow(name), server.object_info().__getitem__)
    for node in prompt.values():
        if node["class_type"] in PLANNERS:
            node["inputs"]["duration"] = SHORT
        if node["class_type"] in LISTENERS:
            node["inputs"]["heads"] = HEADS
    return prompt


def songs_of(server, outputs):
    listed = [entry for shown in outputs.values() for entry in shown.get("audio", ())]
    return [soundfile.read(io.BytesIO(server.view(entry)), always_2d=True) for entry in listed]


def check_songs(songs, seconds, levelled=True):
    assert sorted(len(samples) / rate for samples, rate in songs) == pytest.approx(sorted(seconds), abs=0.001)
    for samples, _ in songs:
        assert np.isfinite(samples).all()
        assert not levelled or abs(samples).max() == pytest.approx(PEAK, abs=2e-3)
        assert abs(samples).mean() > 1e-3


# ------------------------------------------------------------------------------------------------------- files
def test_every_workflow_is_a_file_and_nothing_else_is():
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{file_of(name)}{end}" for name in NAMES for end in (".json", ".jpg")
    }
    assert set(SECONDS) == set(NAMES)


def test_together_they_use_every_node(studio):
    ours = {name for name in studio.server().object_info() if name.startswith("AceGraph")}
    used = {node["type"] for name in NAMES for node in every_node(workflow(name))}
    assert ours - used == NOT_YET


@pytest.mark.parametrize("name", NAMES)
def test_nodes_tell_where_they_and_their_models_come_from(name):
    found = workflow(name)
    for node in every_node(found):
        if node["type"].startswith("AceGraph"):
            assert node["properties"]["cnr_id"] == PACK
            assert node["properties"]["ver"] == example_workflows.version()
    loaders = [node for node in every_node(found) if node["type"] in FILES_OF]
    assert loaders
    (note,) = (node for node in found["nodes"] if node["type"] == "MarkdownNote")
    for loader in loaders:
        models = loader["properties"]["models"]
        assert [model["name"] for model in models] == loader["widgets_values"][: FILES_OF[loader["type"]]]
        for model in models:
            assert model["url"].endswith(f"/{model['directory']}/{model['name']}")
            assert f"]({model['url']})" in note["widgets_values"][0]


@pytest.mark.parametrize("name", NAMES)
def test_widgets_hold_what_they_can_hold(studio, name):
    info = studio.server().object_info()
    found = workflow(name)
    for node in every_node(found):
        if node["type"] in api_form.NOTES or node["type"] in {graph["id"] for graph in boxes_of(found)}:
            continue
        spec = info[node["type"]]["input"]
        known = {**spec.get("required", {}), **spec.get("optional", {})}
        for key, value in api_form.widget_values(
            info[node["type"]], node.get("widgets_values") or ()
        ).items():
            kind, options = known[key][0], known[key][1] if len(known[key]) > 1 else {}
            choices = kind if isinstance(kind, list) else options.get("options")
            if (
                choices is not None and node["type"] != "AceGraphLoadCodes"
            ):  # there are none before the first run
                assert value in choices, (node["type"], key)
            if kind in ("INT", "FLOAT"):
                assert options["min"] <= value <= options.get("max", value), (node["type"], key)


@pytest.mark.parametrize("make", example_workflows.PAGES, ids=lambda make: make.__name__)
def test_the_file_is_what_the_generator_writes(studio, make):
    """Up to places and sizes, which depend on the fonts of a machine."""
    found = example_workflows.made(studio.tab(FRONTENDS[0], new_style=False), make())
    assert without_sizes(found) == without_sizes(workflow(make.__name__))


def without_sizes(found):
    nodes = [{key: v for key, v in node.items() if key not in ("pos", "size")} for node in found["nodes"]]
    groups = [{key: v for key, v in group.items() if key != "bounding"} for group in found["groups"]]
    inside = [
        [{key: v for key, v in node.items() if key not in ("pos", "size")} for node in graph["nodes"]]
        for graph in boxes_of(found)
    ]
    bare = {"nodes": nodes, "groups": groups, "extra": {**found["extra"], "ds": None}, "definitions": inside}
    return {**found, **bare}


# ------------------------------------------------------------------------------------------------------- runs
@pytest.mark.parametrize("name", NAMES)
def test_it_plays(studio, name):
    server = studio.server()
    prompt = prompt_of(server, name)
    seconds = made_brief(prompt, name)
    done = apart(server.run, prompt)
    assert (done.node_errors, done.last, done.error) == ({}, "execution_success", "")
    check_songs(songs_of(server, done.ui), seconds, levelled=name not in KEPT)


def made_brief(prompt, name):
    """Seconds of the songs that a prompt plays, once those from silence are as short as can be: minutes went into them."""
    for node in prompt.values():
        asked = node["inputs"].get("seconds") if node["class_type"] == "AceGraphSilenceLatent" else None
        if isinstance(asked, (int, float)):
            assert SECONDS[name] == [asked] * len(SECONDS[name])
            node["inputs"]["seconds"] = BRIEF
            return [BRIEF] * len(SECONDS[name])
    return SECONDS[name]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_new_is_the_recording_sample_by_sample(studio, name):
    server = studio.server()
    done = apart(server.run, prompt_of(server, name))
    ((song, rate),) = songs_of(server, done.ui)
    recorded, _ = soundfile.read(server.base / "input" / recording.NAME, always_2d=True)
    for start, end in KEPT[name]:
        span = slice(round(start * rate), round(end * rate))
        assert np.array_equal(song[span], recorded[span])


def test_stored_codes_take_the_place_of_written_ones(studio):
    server = studio.server()
    apart(server.run, prompt_of(server, "codes"))
    info = server.object_info()
    (stored,) = info["AceGraphLoadCodes"]["input"]["required"]["file"][1]["options"][-1:]
    prompt = prompt_of(server, "codes")
    written = next(key for key, node in prompt.items() if node["class_type"] == "AceGraphCodesFromText")
    first = songs_of(server, apart(server.run, prompt).ui)
    prompt[written] = {"class_type": "AceGraphLoadCodes", "inputs": {"file": stored}}
    done = apart(server.run, prompt)
    assert (done.node_errors, done.last, done.error) == ({}, "execution_success", "")
    ((again, _),) = songs_of(server, done.ui)
    assert (again == first[0][0]).all()
