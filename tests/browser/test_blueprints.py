"""The blueprints: one node for a whole task, in the library of both frontends; and what is offered where files are missing."""

import json
from contextlib import suppress

import pytest

from support.comfyui.editor import FRONTENDS, until
from tools.templates.names import file_of
from tools.workflows import blueprints
from tools.workflows.parts import PLANNER_FILE, TEXT_FILE, TURBO_FILE, VAE_FILE, model

NAMES = [make().name for make in blueprints.BLUEPRINTS]
TEMPLATES = blueprints.FOLDER.parent / "example_workflows"
WITH_FILES = [
    *(blueprints.FOLDER / f"{name}.json" for name in NAMES),
    TEMPLATES / f"{file_of('song')}.json",
    TEMPLATES / f"{file_of('plan')}.json",
]
TAKERS = """(recording) => {
  const node = app.graph.nodes[0];
  const save = LiteGraph.createNode("AceGraphSaveAudio");
  app.graph.add(save);
  node.connect(node.findOutputSlot("audio"), save, save.findInputSlot("audio"));
  node.connect(node.findOutputSlot("conditions"), save, save.findInputSlot("conditions"));
  const wanted = node.inputs.findIndex((input) => input.type === "AUDIO");
  if (wanted < 0) return;
  const load = LiteGraph.createNode("LoadAudio");
  app.graph.add(load);
  load.widgets.find((w) => w.name === "audio").value = recording;
  load.connect(0, node, wanted);
}"""
SHOWN = r"""() => app.graph.nodes.map((n) => [n.title, (n.widgets ?? []).map((w) => w.name.split(": ").pop().replace(/_\d+$/, ""))])"""


def promoted_of(make):
    return [widget for _, widget in make().promoted]


def search_for(editor):
    """A double click on an empty place; again, if the canvas was too busy to notice."""
    nodes = editor.js("() => app.graph.nodes.length")
    for _ in range(5):
        editor.js(
            "(y) => { app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, y]; app.canvas.setDirty(true, true); }",
            700 * (nodes + 1),
        )
        editor.page.wait_for_timeout(400)  # what follows a click at once is no double click
        editor.page.mouse.dblclick(800, 250)
        with suppress(TimeoutError):
            until(lambda: editor.js("() => document.activeElement?.tagName === 'INPUT'"), "it opens", 1)
            return
    raise TimeoutError("A double click on the canvas opens no search.")


def put(editor, frontend, name):
    """Find a node by its name, as a user does after a double click on the canvas, and put it there."""
    before = editor.js("() => app.graph.nodes.length")
    search_for(editor)
    editor.page.keyboard.type(name)
    editor.page.wait_for_timeout(1000)  # it is listed before Enter takes it
    editor.page.keyboard.press("Enter")
    if frontend != FRONTENDS[0]:  # there the node hangs on the pointer until it is clicked down
        editor.page.wait_for_timeout(500)
        editor.page.mouse.click(800, 250)
    until(lambda: editor.js("() => app.graph.nodes.length") == before + 1, f"{name} is there")


@pytest.fixture
def empty(studio, frontend):
    editor = studio.tab(frontend, frontend != FRONTENDS[0])
    editor.errors.clear()
    editor.js("() => app.graph.clear()")
    yield editor
    editor.close_dialogs()


def test_the_server_offers_them_and_no_others(studio):
    offered = studio.server().get("/global_subgraphs").values()
    assert sorted(entry["name"] for entry in offered) == sorted(NAMES)
    files = {path.name for path in blueprints.FOLDER.iterdir()}
    assert files == {f"{name}.json" for name in NAMES}


def test_no_id_occurs_in_two_of_them():
    files = [json.loads(path.read_text(encoding="utf-8")) for path in blueprints.FOLDER.iterdir()]
    inside = [graph["id"] for file in files for graph in file["definitions"]["subgraphs"]]
    nodes = [
        node["id"] for file in files for graph in file["definitions"]["subgraphs"] for node in graph["nodes"]
    ]
    assert len(set(inside)) == len(inside) == len(NAMES)
    assert len(set(nodes)) == len(nodes)


def test_the_loader_inside_tells_where_its_files_come_from():
    for path in blueprints.FOLDER.iterdir():
        (graph,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
        (load,) = (node for node in graph["nodes"] if node["type"] == "AceGraphLoad")
        files = [(TURBO_FILE, "diffusion_models"), (TEXT_FILE, "text_encoders"), (VAE_FILE, "vae")]
        assert load["properties"]["models"] == [model(*file) for file in files]
        assert load["widgets_values"][:3] == [name for name, _ in files]


def test_all_of_them_can_be_in_one_graph(empty, frontend):
    for name in NAMES:
        put(empty, frontend, name)
    expected = [[make().name, promoted_of(make)] for make in blueprints.BLUEPRINTS]
    assert empty.js(SHOWN) == expected
    assert empty.errors == []


@pytest.mark.parametrize("make", blueprints.BLUEPRINTS, ids=lambda make: make.__name__)
def test_a_blueprint_runs_as_one_node(empty, frontend, make):
    put(empty, frontend, make().name)
    empty.js(TAKERS, "acestep_graph_demo.flac")
    done = empty.run()
    assert done["status"]["status_str"] == "success", done["status"]
    songs = [empty.server.view(song) for shown in done["outputs"].values() for song in shown.get("audio", ())]
    assert len(songs) == 2  # what the blueprint itself plays, and what takes its audio
    assert all(song[:4] == b"fLaC" for song in songs)
    empty.fit()
    empty.picture(f"blueprint_{make.__name__}_{frontend}")


@pytest.mark.parametrize("path", WITH_FILES, ids=lambda path: path.stem)
def test_files_that_are_not_there_are_offered(empty, path):
    text = path.read_text(encoding="utf-8")
    known = [name for name in (TURBO_FILE, TEXT_FILE, VAE_FILE, PLANNER_FILE) if name in text]
    for name in known:
        text = text.replace(name, f"lost_{name}")
    empty.load(json.loads(text))
    until(lambda: offers(empty) == len(known), "every file is offered")


def offers(editor):
    """How many files the editor would fetch."""
    editor.show_error()
    texts = editor.page.get_by_role("button").all_inner_texts()
    return sum(text.startswith("Download") and text != "Download all" for text in texts)
