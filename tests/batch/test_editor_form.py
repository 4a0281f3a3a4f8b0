"""A saved workflow becomes the prompt that the editor would run. tests/browser compares with the editor itself; here are the rules."""

import copy

import pytest

from acestep_core.errors import InvalidInputError
from batch.columns import Columns
from batch.editor_form import editor_graph, types_of
from batch.graphs import changed, changed_workflow
from batch.widgets import aligned

INFO = {
    "Make": {
        "input": {"required": {"kind": (["a", "b"],), "size": ("INT", {"default": 3, "min": 1, "max": 9})}}
    },
    "Play": {
        "display_name": "Player",
        "input": {
            "required": {"x": ("X", {}), "seed": ("INT", {"max": 2**64 - 1}), "on": ("BOOLEAN", {})},
            "optional": {"text": ("STRING", {"default": "new"}), "forced": ("INT", {"forceInput": True})},
        },
    },
    "Keep": {"input": {"required": {"x": ("X", {})}}},
    "File": {
        "input": {
            "required": {"file": ("COMBO", {"options": ["f"], "audio_upload": True})},
            "optional": {"gain": ("FLOAT", {})},
        }
    },
}
VALUES = {"Make": ["b", 5], "Play": [7, "randomize", True, "t"], "Keep": [], "File": ["f", None, None, 0.5]}


def node(key, kind, *wires, mode=0, outputs=("X",), **more):
    """wires: (name, type, link)."""
    inputs = [{"name": name, "type": type_, "link": link} for name, type_, link in wires]
    shown = [{"name": "o", "type": type_} for type_ in outputs]
    return {
        "id": key,
        "type": kind,
        "mode": mode,
        "inputs": inputs,
        "outputs": shown,
        "widgets_values": VALUES.get(kind, []),
        **more,
    }


def graph_of(nodes, links, **more):
    return editor_graph({"nodes": nodes, "links": links, **more}, INFO.__getitem__)


@pytest.fixture
def chain():
    nodes = [node(1, "Make"), node(2, "Play", ("x", "X", 1), title="Mine"), node(3, "Keep", ("x", "X", 2))]
    return nodes, [[1, 1, 0, 2, 0, "X"], [2, 2, 0, 3, 0, "X"]]


def test_values_and_wires_go_to_their_names(chain):
    assert graph_of(*chain).prompt == {
        "1": {"class_type": "Make", "inputs": {"kind": "b", "size": 5}},
        "2": {"class_type": "Play", "inputs": {"seed": 7, "on": True, "text": "t", "x": ["1", 0]}},
        "3": {"class_type": "Keep", "inputs": {"x": ["2", 0]}},
    }


def test_the_editors_own_values_are_stepped_over():
    assert [(spec.name, value, place) for spec, value, place in aligned(INFO["File"], VALUES["File"])] == [
        ("file", "f", 0),
        ("gain", 0.5, 3),
    ]
    assert [value for _, value, _ in aligned(INFO["Play"], VALUES["Play"])] == [7, True, "t"]


def test_a_file_that_is_older_than_a_widget_gets_its_default(chain):
    chain[0][1]["widgets_values"] = [7, "fixed", False]
    graph = graph_of(*chain)
    assert graph.prompt["2"]["inputs"]["text"] == "new"
    assert [widget.place is None for widget in graph.widgets if widget.name == "text"] == [True]


def test_a_file_whose_values_are_in_another_order_is_refused(chain):
    chain[0][1]["widgets_values"] = [True, 7, "randomize", "t"]
    with pytest.raises(InvalidInputError, match="Mine has True where seed is"):
        graph_of(*chain)


def test_values_may_go_by_name(chain):
    chain[0][0]["widgets_values"] = {"size": 2, "kind": "a", "preview": {}}
    graph = graph_of(*chain)
    assert graph.prompt["1"]["inputs"] == {"kind": "a", "size": 2}
    assert [widget.place for widget in graph.widgets[:2]] == [
        ("nodes", 0, "widgets_values", name) for name in ("kind", "size")
    ]


def test_what_is_bypassed_hands_on_its_first_input_of_the_type(chain):
    nodes, links = chain
    nodes[1]["mode"] = 4
    assert graph_of(nodes, links).prompt["3"]["inputs"] == {"x": ["1", 0]}
    nodes[1]["outputs"][0]["type"] = "Y"
    assert graph_of(nodes, links).prompt["3"]["inputs"] == {}


def test_what_is_bypassed_hands_on_the_input_in_the_outputs_place(chain):
    nodes, links = chain
    nodes[1] = node(
        2, "Play", ("text", "STRING", None), ("x", "X", 1), ("y", "X", 3), mode=4, outputs=("X", "X", "X")
    )
    more = [node(5, "Make")]
    for slot, origin in ((0, "1"), (1, "1"), (2, "5")):
        wires = [*links[:1], [2, 2, slot, 3, 0, "X"], [3, 5, 0, 2, 2, "X"]]
        assert graph_of([*nodes, *more], wires).prompt["3"]["inputs"] == {"x": [origin, 0]}


def test_what_is_muted_is_not_there(chain):
    nodes, links = chain
    nodes[1]["mode"] = 2
    assert set(graph_of(nodes, links).prompt) == {"1", "3"}
    assert graph_of(nodes, links).prompt["3"]["inputs"] == {}


def test_notes_reroutes_and_primitives_do_not_run(chain):
    nodes, links = chain
    more = [
        node(4, "Reroute", ("", "*", 2)),
        node(5, "PrimitiveNode", outputs=("INT",), widgets_values=[9, "fixed"]),
        node(6, "Note"),
    ]
    nodes[2]["inputs"][0]["link"] = 3
    nodes[0]["inputs"].append({"name": "size", "type": "INT", "link": 4, "widget": {"name": "size"}})
    graph = graph_of([*nodes, *more], [*links, [3, 4, 0, 3, 0, "X"], [4, 5, 0, 1, 0, "INT"]])
    assert graph.prompt["3"]["inputs"] == {"x": ["2", 0]}
    assert graph.prompt["1"]["inputs"]["size"] == 9
    assert set(graph.prompt) == {"1", "2", "3"}
    assert not [widget for widget in graph.widgets if widget.name == "size"]  # it is wired


def subgraphed(uses=1):
    """Play lies in a subgraph, whose instances stand between Make and Keep."""
    inner = {
        "id": "s-1",
        "nodes": [node(2, "Play", ("x", "X", 1), title="Mine")],
        "inputs": [{"name": "in", "type": "X"}],
        "outputs": [{"name": "out", "type": "X"}],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 2, "target_slot": 0},
            {"id": 2, "origin_id": 2, "origin_slot": 0, "target_id": -20, "target_slot": 0},
        ],
    }
    nodes, links = [node(1, "Make")], []
    for number in range(uses):
        holder, keep = 10 + number, 20 + number
        links += [[holder, 1, 0, holder, 0, "X"], [keep, holder, 0, keep, 0, "X"]]
        shown = {"proxyWidgets": [["2", "text"]]}
        nodes += [
            node(holder, "s-1", ("in", "X", holder), title=f"Group {number}", properties=shown),
            node(keep, "Keep", ("x", "X", keep)),
        ]
    return {"nodes": nodes, "links": links, "definitions": {"subgraphs": [inner]}}


def test_a_subgraph_is_taken_apart():
    graph = editor_graph(subgraphed(2), INFO.__getitem__)
    assert set(graph.prompt) == {"1", "10:2", "20", "11:2", "21"}
    assert graph.prompt["11:2"]["inputs"]["x"] == ["1", 0]
    assert graph.prompt["21"]["inputs"]["x"] == ["11:2", 0]


def test_a_widget_that_is_shown_outside_goes_by_both_names():
    columns = Columns(editor_graph(subgraphed(), INFO.__getitem__))
    outside, inside = columns.widgets("Group 0.text"), columns.widgets("Mine.text")
    assert outside == inside
    with pytest.raises(InvalidInputError, match=r"Group 0\.seed"):
        columns.widgets("Group 0.seed")
    two = Columns(editor_graph(subgraphed(2), INFO.__getitem__))
    assert two.widgets("Group 1.text")[0].node == "11:2"
    with pytest.raises(InvalidInputError, match=r"10:2\.text, 11:2\.text"):
        two.widgets("Mine.text")


@pytest.mark.parametrize("uses", [1, 2])
def test_the_editors_file_of_a_row_leads_to_the_prompt_of_the_row(uses):
    workflow = subgraphed(uses)
    graph = editor_graph(workflow, INFO.__getitem__)
    changes = Columns(graph).changes([("Group 0.text", "row"), ("Make.size", 8)])
    again = editor_graph(changed_workflow(workflow, changes), INFO.__getitem__)
    if uses == 1:
        assert again.prompt == changed(graph.prompt, changes)
    else:  # one text in the file stands for both
        assert [change.place is None for change in changes] == [True, False]


def test_a_muted_or_bypassed_subgraph_does_not_run():
    workflow = subgraphed()
    holder = next(one for one in workflow["nodes"] if one["type"] == "s-1")
    holder["mode"] = 4
    assert editor_graph(workflow, INFO.__getitem__).prompt["20"]["inputs"] == {"x": ["1", 0]}
    holder["mode"] = 2
    assert set(editor_graph(workflow, INFO.__getitem__).prompt) == {"1", "20"}


def test_schemas_are_asked_for_what_runs(chain):
    assert types_of(subgraphed()) == {"Make", "Play", "Keep"}
    nodes, links = chain
    nodes[0]["mode"] = 4
    assert types_of({"nodes": [*nodes, node(9, "Note")], "links": links}) == {"Play", "Keep"}


def test_a_subgraph_in_itself_is_refused():
    workflow = subgraphed()
    workflow["definitions"]["subgraphs"][0]["nodes"].append(node(5, "s-1"))
    with pytest.raises(InvalidInputError, match="within itself"):
        editor_graph(workflow, INFO.__getitem__)


@pytest.mark.parametrize(
    "path", [("nodes", 0, "id"), ("nodes", 1, "type"), ("nodes", 1, "inputs", 0, "name"), ("links", 0)]
)
def test_a_file_of_another_form_is_refused(chain, path):
    workflow = copy.deepcopy({"nodes": chain[0], "links": chain[1]})
    holder = workflow
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    if path == ("links", 0):
        holder[0] = 5
    with pytest.raises(InvalidInputError, match="unknown form"):
        editor_graph(workflow, INFO.__getitem__)
