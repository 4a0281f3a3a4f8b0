"""A graph is found by path or name, in both forms; what a row changes is also changed in the editor's file."""

import json

import pytest

from acestep_core.errors import InvalidInputError
from batch.graphs import (
    ROOT,
    Change,
    Graph,
    api_graph,
    changed_workflow,
    digest,
    find_graph,
    is_editor_form,
    read_graph,
)

PROMPT = {
    "7": {
        "class_type": "Play",
        "inputs": {"seed": 2**63, "x": 0.5, "wired": ["8", 0]},
        "_meta": {"title": "T"},
    }
}


def test_templates_go_by_their_names(tmp_path):
    song = ROOT / "example_workflows" / "01 Song.json"
    assert [find_graph(name) for name in ("Song", "song", "01 Song")] == [song] * 3
    assert find_graph("ACE-Step Cover") == ROOT / "subgraphs" / "ACE-Step Cover.json"
    mine = tmp_path / "Song"
    mine.write_text("{}")
    assert find_graph(str(mine)) == mine
    with pytest.raises(InvalidInputError, match="neither a file nor") as refused:
        find_graph("Sang")
    assert "Song, node by node" in refused.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '"x"'])
def test_what_is_no_graph_is_refused(tmp_path, text):
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(InvalidInputError):
        read_graph(tmp_path / "g.json")


@pytest.mark.parametrize("prompt", [{"1": 5}, {"1": {"inputs": {}}}, {"1": {"class_type": "A"}}])
def test_what_is_no_prompt_is_refused(prompt):
    assert not is_editor_form(prompt)
    with pytest.raises(InvalidInputError, match="no node"):
        api_graph(prompt)


def test_values_of_a_prompt_tell_their_kinds():
    found = {
        widget.name: (widget.kind, widget.labels, widget.is_seed) for widget in api_graph(PROMPT).widgets
    }
    assert found == {
        "seed": ("INT", ("T.seed", "Play.seed", "7.seed"), True),
        "x": ("NUMBER", ("T.x", "Play.x", "7.x"), False),
    }


def test_a_graph_is_restored_as_it_was_stored():
    graph = Graph(PROMPT, api_graph(PROMPT).widgets, {"nodes": []})
    assert Graph.restored(json.loads(json.dumps(graph.stored()))) == graph


def test_a_digest_is_of_the_values_alone():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert len({digest(value) for value in (1, 1.5, "1", True, None, [1], {"a": 1})}) == 7


def test_the_editors_file_of_a_row_holds_its_values():
    workflow = {"nodes": [{"widgets_values": ["old", 1]}, {"widgets_values": {"x": 2}}]}
    changes = [
        Change("1", "caption", "new", ("nodes", 0, "widgets_values", 0)),
        Change("2", "x", 3, ("nodes", 1, "widgets_values", "x")),
        Change("3", "y", 4, None),
    ]
    made = changed_workflow(workflow, changes)
    assert made == {"nodes": [{"widgets_values": ["new", 1]}, {"widgets_values": {"x": 3}}]}
    assert workflow["nodes"][0]["widgets_values"] == ["old", 1]
