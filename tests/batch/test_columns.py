"""A column sets the widgets that it names and no others; a cell becomes a value of the widget's kind, or is refused."""

import pytest

from acestep_core.errors import InvalidInputError
from batch.columns import Columns, described, value_of
from batch.graphs import Change, Graph, Widget, api_graph, changed

PROMPT = {
    "1": {"class_type": "Encode", "inputs": {"caption": "c", "seed": 4}, "_meta": {"title": "Words"}},
    "2": {
        "class_type": "Play",
        "inputs": {"seed": 5, "steps": 8, "strength": 0.5, "on": True, "from": ["1", 0]},
    },
    "3": {"class_type": "Play", "inputs": {"seed": 6, "steps": 8}, "_meta": {"title": "Words"}},
}


@pytest.fixture
def columns() -> Columns:
    return Columns(api_graph(PROMPT))


def widget(kind: str, **more) -> Widget:
    return Widget("1", "w", ("n.w",), kind, None, **more)


@pytest.mark.parametrize("column", ["Words.caption", "words.CAPTION", "1.caption", "Encode.caption"])
def test_a_widget_is_named_by_title_kind_or_number(columns, column):
    assert columns.changes([(column, "new")]) == [Change("1", "caption", "new", None)]


def test_seed_sets_every_seed(columns):
    assert columns.changes([("seed", "7")]) == [Change(key, "seed", 7, None) for key in "123"]


def test_a_row_changes_what_it_names_and_the_graph_stays_as_it_was(columns):
    before = {key: {**node, "inputs": dict(node["inputs"])} for key, node in PROMPT.items()}
    made = changed(PROMPT, columns.changes([("name", "x"), ("2.steps", 9), ("Words.caption", None)]))
    assert before == PROMPT
    assert {
        (key, name)
        for key in made
        for name in made[key]["inputs"]
        if made[key]["inputs"][name] != PROMPT[key]["inputs"][name]
    } == {("2", "steps")}


@pytest.mark.parametrize(
    ("column", "problem", "choices"),
    [
        ("Words.lyrics", "No widget of the graph is called 'Words.lyrics'", "Words.caption"),
        ("elsewhere.steps", "No widget", "Play.steps"),
        ("2.from", "No widget", "name, seed"),
        ("Words.seed", "fits 2 widgets", "1.seed, 3.seed"),
        ("Play.steps", "fits 2 widgets", "2.steps, 3.steps"),
    ],
)
def test_a_column_that_fits_no_widget_or_two_is_refused_with_the_choices(columns, column, problem, choices):
    with pytest.raises(InvalidInputError) as refused:
        columns.widgets(column)
    assert problem in refused.value.problem
    assert choices in refused.value.remedy


def test_seed_is_refused_where_the_graph_has_none():
    with pytest.raises(InvalidInputError, match="'seed'"):
        Columns(Graph({}, (widget("INT"),))).widgets("seed")


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("INT", "18446744073709551615", 2**64 - 1),
        ("INT", " -3 ", -3),
        ("INT", "3.0", 3),
        ("INT", 3.0, 3),
        ("FLOAT", "1e-3", 0.001),
        ("FLOAT", 2, 2.0),
        ("NUMBER", "2", 2),
        ("NUMBER", "2.5", 2.5),
        ("BOOLEAN", "Yes", True),
        ("BOOLEAN", 0, False),
        ("STRING", 12, "12"),
        ("STRING", " a\n", " a\n"),
        ("", "kept", "kept"),
    ],
)
def test_a_cell_becomes_a_value_of_the_kind(kind, cell, value):
    found = value_of(widget(kind), "n.w", cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        *(("INT", cell) for cell in ("x", "1.5", 1.5, "", "inf", True, "٣x")),
        *(("FLOAT", cell) for cell in ("x", "nan", "inf", True)),
        *(("BOOLEAN", cell) for cell in ("maybe", 2, "")),
        ("NUMBER", "1,5"),
    ],
)
def test_a_cell_of_another_kind_is_refused(kind, cell):
    with pytest.raises(InvalidInputError, match=r"n\.w cannot be"):
        value_of(widget(kind), "n.w", cell)


def test_limits_and_choices_hold():
    limited = widget("INT", low=1, high=4)
    assert [value_of(limited, "c", cell) for cell in ("1", "4")] == [1, 4]
    for cell, limit in (("0", "1"), ("5", "4")):
        with pytest.raises(InvalidInputError, match=f"value is {limit}"):
            value_of(limited, "c", cell)
    combo = widget("COMBO", options=("euler", "heun", 3))
    assert [value_of(combo, "c", cell) for cell in ("heun", "3")] == ["heun", 3]
    with pytest.raises(InvalidInputError, match="euler, heun, 3"):
        value_of(combo, "c", "other")


def test_files_of_another_machine_are_left_to_the_worker():
    files = widget("COMBO", options=("a.safetensors",))
    assert value_of(files, "c", "b.safetensors") == "b.safetensors"


def test_every_column_that_is_listed_is_taken():
    graph = api_graph(PROMPT)
    offered = [line.partition(": ")[0] for line in described(graph)]
    assert offered[:2] == ["name", "seed"]
    assert len(offered) == 2 + len(graph.widgets)
    for column, widget_ in zip(offered[2:], graph.widgets, strict=True):
        assert Columns(graph).widgets(column) == [widget_]
