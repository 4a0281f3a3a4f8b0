"""What `batch` makes of a saved workflow is what the editor's own Run sends: for every template and every blueprint."""

import json

import pytest

from batch.editor_form import editor_graph
from batch.graphs import changed
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS

FILES = [
    path
    for folder in ("example_workflows", "subgraphs")
    for path in sorted((comfy_host.PACK / folder).glob("*.json"))
]
OTHERS = """() => {
  const by = (type) => app.graph.nodes.find((node) => node.type === type);
  const add = (type) => { const node = LiteGraph.createNode(type); app.graph.add(node); return node; };
  const reroute = add("Reroute"), second = add("Reroute"), sampler = by("AceGraphSampler"), decode = by("AceGraphOobleckDecode");
  sampler.connect(0, reroute, 0);
  reroute.connect(0, second, 0);
  second.connect(0, decode, decode.findInputSlot("latent"));
  const number = add("PrimitiveNode"), silence = by("AceGraphSilenceLatent");
  number.connect(0, silence, silence.findInputSlot("seconds"));
  number.widgets[0].value = 3.5;
  const text = add("PrimitiveStringMultiline"), words = by("AceGraphEncodeConditions");
  text.widgets[0].value = "from a node";
  text.connect(0, words, words.findInputSlot("caption"));
  by("PreviewAny").mode = 2;
}"""
FOLD = """() => {
  const inside = app.graph.nodes.filter((node) => ["AceGraphSampler", "AceGraphSilenceLatent"].includes(node.type));
  app.graph.convertToSubgraph(new Set(inside));
}"""


@pytest.fixture
def editor(studio, frontend):
    opened = studio.tab(frontend, False)
    opened.errors.clear()
    yield opened
    opened.close_dialogs()


def test_every_file_becomes_the_prompt_that_the_editor_sends(editor, frontend):
    info = editor.server.object_info()
    for path in FILES if frontend == FRONTENDS[-1] else FILES[::5]:
        workflow = json.loads(path.read_text(encoding="utf-8"))
        editor.load(workflow)
        assert sent(editor, info) == graph_of(workflow, info).prompt, path.name
        assert_same(editor, info, path.name)


def test_reroutes_primitives_and_folded_nodes_too(editor):
    info = editor.server.object_info()
    editor.load(
        json.loads(
            (comfy_host.PACK / "example_workflows" / "25 Song, node by node.json").read_text(encoding="utf-8")
        )
    )
    editor.js(OTHERS)
    assert_same(editor, info, "reroutes and primitives")
    inputs = {node["class_type"]: node["inputs"] for node in sent(editor, info).values()}
    assert inputs["AceGraphSilenceLatent"]["seconds"] == 3.5
    assert inputs["AceGraphEncodeConditions"]["caption"] != "from a node"  # a wire leads there
    assert "PreviewAny" not in inputs
    editor.js(FOLD)
    assert_same(editor, info, "a subgraph")
    assert any(":" in key for key in sent(editor, info))


def sent(editor, info) -> dict:
    """What Run would send, without titles and without values of which only the editor knows."""
    prompt = editor.prompt()["output"]
    known = {
        key: {
            **info[node["class_type"]]["input"].get("required", {}),
            **info[node["class_type"]]["input"].get("optional", {}),
        }
        for key, node in prompt.items()
    }
    return {
        key: {
            "class_type": node["class_type"],
            "inputs": {name: value for name, value in node["inputs"].items() if name in known[key]},
        }
        for key, node in prompt.items()
    }


def graph_of(workflow, info):
    return editor_graph(workflow, lambda name: info[name])


def assert_same(editor, info, what: str) -> None:
    """The editor's own file of what it shows leads to what it sends, and every widget to its place in that file."""
    stored = editor.prompt()["workflow"]
    graph = graph_of(stored, info)
    assert graph.prompt == sent(editor, info), what
    for widget in graph.widgets:
        holder = stored
        for key in widget.place or ():
            holder = holder[key]
        assert widget.place is None or holder == widget.value, f"{what}: {widget.labels}"
    assert changed(graph.prompt, ()) == graph.prompt
