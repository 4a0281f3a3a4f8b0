"""The pack in the real editor: with the frontend that ComfyUI 0.3.75 brings and the newest, nodes drawn and as HTML."""

import json
from importlib.metadata import version

import pytest

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, apart, until
from tools.templates.names import file_of
from tools.workflows.parts import BASE_FILE, TURBO_FILE

FOLDER = comfy_host.PACK / "example_workflows"
SHORT = 6.0  # seconds of a song that is only there to be loaded again
OWN_SEED = 31
FORMATS = {  # format of Save Audio -> what a browser calls it
    "FLAC 24-bit": "audio/flac",
    "MP3 192 kbit/s": "audio/mpeg",
    "Opus 96 kbit/s": "audio/ogg",
}
FRESH = """() => {  // -> what a new loader chooses after a run, and where none is remembered
  const model = () => LiteGraph.createNode("AceGraphLoad").widgets.find((w) => w.name === "model").value;
  const last = model();
  localStorage.removeItem("acestepgraph.lastModel");
  return [last, model()];
}"""


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def test_the_older_frontend_is_the_one_installed():
    assert version("comfyui-frontend-package") == FRONTENDS[0]


# --------------------------------------------------------------------------------------------- files dropped
@pytest.mark.parametrize("form", FORMATS)
def test_a_saved_file_dropped_on_the_canvas_brings_its_graph_back(styled, form):
    found = workflow("text2music")
    entry = saved_song(styled.server, found, form)
    styled.js("() => app.graph.clear()")
    styled.drop(entry["filename"], FORMATS[form], styled.server.view(entry))
    styled.page.wait_for_function("(n) => app.graph.nodes.length === n", arg=len(found["nodes"]))
    until(lambda: styled.prompt()["workflow"]["nodes"], "the graph is there")
    back = styled.prompt()
    (sampler,) = (node for node in back["output"].values() if node["class_type"] == "AceGraphSampler")
    assert sampler["inputs"]["seed"] == OWN_SEED
    assert {g["title"] for g in back["workflow"]["groups"]} == {g["title"] for g in found["groups"]}
    assert (styled.toasts(), styled.dialogs()) == ([], [])


def saved_song(server, found, form):
    """Make a song with a graph that is told from the template by its seed; -> the file that was saved."""
    for node in found["nodes"]:
        place = {"AceGraphSampler": (0, OWN_SEED), "AceGraphSaveAudio": (1, form)}.get(node["type"])
        if place:
            node["widgets_values"][place[0]] = place[1]
        if node["type"] == "AceGraphSilenceLatent":
            node["widgets_values"][0] = SHORT
    prompt = api_form.prompt_of(found, server.object_info().__getitem__)
    done = apart(server.run, prompt, workflow=found)
    assert (done.last, done.error) == ("execution_success", "")
    (entry,) = (entry for shown in done.ui.values() for entry in shown.get("audio", ()))
    return entry


# --------------------------------------------------------------------------------------------- stop, errors
def test_stop_ends_a_run_and_the_next_one_works(usual):
    usual.load(workflow("text2music"))
    usual.set("AceGraphLoad", model=BASE_FILE)
    usual.set("AceGraphSampler", steps=200, solver="heun")
    usual.set("AceGraphSilenceLatent", seconds=120.0)
    key = usual.queued(usual.press_run)
    until(lambda: usual.server.get("/queue")["queue_running"], "the run has begun")
    usual.page.wait_for_timeout(1500)
    usual.page.get_by_role("button", name="Cancel current run").first.click()
    messages = dict(usual.ended(key)["status"]["messages"])
    assert "execution_interrupted" in messages
    last, first = usual.js(FRESH)
    assert last == BASE_FILE
    assert "turbo" in first
    usual.set("AceGraphLoad", model=TURBO_FILE)
    usual.set("AceGraphSampler", steps=0, solver="euler")
    usual.set("AceGraphSilenceLatent", seconds=SHORT)
    assert usual.run()["status"]["status_str"] == "success"


def test_what_is_wrong_is_said_in_our_words(usual):
    usual.load(workflow("text2music"))
    usual.set("AceGraphLoad", model="lost.safetensors")
    done = usual.run()
    assert done["status"]["status_str"] == "error"
    words = "There is no 'lost.safetensors'"
    usual.show_error()
    usual.page.get_by_text(words).first.wait_for()
