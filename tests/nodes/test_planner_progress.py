"""Stop within one token of whatever a planner writes, and what is shown meanwhile without slowing it down."""

import re
from itertools import count
from types import SimpleNamespace

import pytest

from support.comfyui import task_graphs
from support.comfyui.host import Runner
from support.comfyui.task_graphs import PLANNED_SECONDS

CODES = round(5 * PLANNED_SECONDS)
STOPS = [
    ("AceGraphLoadPlanner", 0),
    ("AceGraphLoadPlanner", 1),
    *(("AceGraphPlan", token) for token in (0, 1, 2, 13)),
    *(("AceGraphComposeCodes", code) for code in (0, 1, 2, CODES - 1, CODES)),
]


@pytest.fixture(autouse=True)
def every_token_is_shown(pack, monkeypatch):
    monkeypatch.setattr(pack.nodes.runs.planning, "PAUSE", -1.0)


def built(graph):
    """Two songs' codes, planned and composed; class -> the node."""
    planner = task_graphs.woken(graph)
    words = {"caption": "slow piano", "lyrics": "la la", "duration": PLANNED_SECONDS}
    plan = graph.add("AceGraphPlan", planner=planner, enrich_caption=False, **words)
    composed = graph.add("AceGraphComposeCodes", planner=planner, plan=plan["plan"], songs=2, **words)
    graph.add("PreviewAny", source=composed["codes"])
    return task_graphs.nodes_of(graph)


@pytest.fixture(scope="module")
def undisturbed(host, pack):
    """The codes when nobody stops the graph."""
    graph = host.graph()
    nodes = built(graph)
    done = Runner(host)(graph)
    assert done.success, done.error
    return [song.tolist() for song in done.outputs[nodes["AceGraphComposeCodes"].id][0].items]


@pytest.mark.parametrize(("kind", "moment"), STOPS)
def test_stop_comes_within_one_token_and_the_next_run_is_as_if_it_never_happened(
    graph, run_graph, undisturbed, kind, moment
):
    nodes = built(graph)
    stopped = run_graph(graph, stop_at=(nodes[kind], moment))

    assert stopped.interrupted
    assert stopped.ran[-1] == nodes[kind].id
    moves = [move.value for move in stopped.progress if move.node == nodes[kind].id]
    assert moves == [*range(1, moment + 1)]
    done = run_graph(graph)
    assert done.success, done.error
    codes = done.outputs[nodes["AceGraphComposeCodes"].id][0].items
    assert [song.tolist() for song in codes] == undisturbed


@pytest.mark.parametrize("kind", ["AceGraphUnderstand", "AceGraphInspire", "AceGraphFormat"])
def test_stop_comes_within_one_token_of_a_long_text(graph, run_graph, kind):
    codes = graph.add("AceGraphCodesFromText", text=task_graphs.CODES)["codes"]
    wanted = {
        "AceGraphUnderstand": {"codes": codes},
        "AceGraphInspire": {"wish": "a sea shanty"},
        "AceGraphFormat": {"caption": "slow piano", "lyrics": "la"},
    }
    node = graph.add(kind, planner=task_graphs.woken(graph), **wanted[kind])
    graph.add("PreviewAny", source=node["report"])
    stopped = run_graph(graph, stop_at=(node, 40))
    assert stopped.interrupted
    assert [move.value for move in stopped.progress if move.node == node.id] == [*range(1, 41)]


def test_bar_and_caption_tell_how_far_it_is(host, graph, run_graph):
    nodes = built(graph)
    done = run_graph(graph)
    moves = [move for move in done.progress if move.node == nodes["AceGraphComposeCodes"].id]
    assert [(move.value, move.total) for move in moves] == [(code, CODES) for code in range(1, CODES + 1)]
    told = [data.decode() for event, data in host.events if isinstance(data, bytes)]
    assert any(
        re.search(rf"{CODES} / {CODES} codes for each of 2 songs at [\d.]+ per second$", t) for t in told
    )


# --------------------------------------------------------------------------------------------- the meter alone
@pytest.fixture
def meter(pack, monkeypatch):
    """meter(seconds between two tokens) -> a meter by a clock of its own, and all that it shows."""
    planner, shown = pack.nodes.runs.planning, []

    def made(apart, pause=0.1, known_end=True):
        ticks = count()
        monkeypatch.setattr(planner, "PAUSE", pause)
        monkeypatch.setattr(planner, "time", SimpleNamespace(perf_counter=lambda: 7.0 + apart * next(ticks)))
        monkeypatch.setattr(planner.runtime, "caption", lambda node, text: shown.append(text))
        return planner.Meter("5", "codes", known_end), shown

    return made


@pytest.mark.parametrize(("apart", "most"), [(0.001, 12), (0.04, 335), (1.0, 1000)])
def test_a_fast_planner_is_shown_ten_times_a_second_at_most(meter, apart, most):
    told, shown = meter(apart)
    for token in range(1, 1001):
        told(token, 1000)
    assert most * 0.8 < len(shown) <= most
    assert shown[0] == "1 / 1000"
    assert shown[-1] == f"1000 / 1000 codes at {1 / apart:.1f} per second"


def test_what_may_end_at_any_time_is_not_told_as_a_share(meter):
    told, shown = meter(0.5, known_end=False)
    told(1, 2752)
    told(2, 2752)
    assert shown == ["1", "2 codes at 2.0 per second"]


def test_speed_is_that_of_writing_and_not_of_what_came_before(meter):
    told, _ = meter(0.5)
    assert told.speed == ""
    told(20, 100)  # forced tokens that were there at once
    assert told.speed == ""
    told(21, 100)
    assert told.speed == "codes at 2.0 per second"


def test_stop_is_heard_at_tokens_that_are_not_shown(host, meter):
    told, shown = meter(0.001)
    told(1, 100)
    host.interrupt()
    with pytest.raises(host.module("comfy.model_management").InterruptProcessingException):
        told(2, 100)
    assert shown == ["1 / 100"]
