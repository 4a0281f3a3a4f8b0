"""A planner kept in int8: it plans and composes on a processor, takes no adapter, and is refused on a card."""

import pytest
import torch

from support.comfyui import models as comfy_models
from support.comfyui import task_graphs

pytestmark = pytest.mark.usefixtures("short_texts")

SECONDS = 10.0


@pytest.fixture
def planner(graph):
    """Load Planner, in int8."""
    return graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="int8")


def test_it_plans_and_composes_with_a_byte_for_a_weight(run_graph, graph, planner):
    words = {"caption": "slow piano", "duration": SECONDS, "instrumental": True}
    plan = graph.add("AceGraphPlan", planner=planner["planner"], enrich_caption=False, **words)
    composed = graph.add(
        "AceGraphComposeCodes", planner=planner["planner"], plan=plan["plan"], songs=2, **words
    )
    for output in (planner["report"], plan["report"], composed["report"]):
        graph.add("PreviewAny", source=output)
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    assert ", weights in int8 on cpu" in done[planner["report"]]
    network = done[planner["planner"]].managed.network
    assert type(network).__name__ == "Int8Planner"
    assert not any(isinstance(part, torch.nn.Linear) for part in network.layers.modules())
    codes = done[composed["codes"]].items
    assert [len(song) for song in codes] == [5 * SECONDS] * 2
    assert not codes[0].equal(codes[1])


def test_an_adapter_cannot_change_it_and_it_is_said(run_graph, graph, planner, trial):
    adapted = graph.add("AceGraphLoadAdapter", planner=planner["planner"], adapter=task_graphs.ADAPTER_FILE)
    graph.add("PreviewAny", source=adapted["report"])
    done = run_graph(graph)
    assert "is kept in int8, which no adapter can change." in done.error
    assert "Choose another weight_dtype in Load Planner." in done.error


def test_a_card_refuses_it_in_two_sentences(run_graph, graph, planner, pack, monkeypatch):
    monkeypatch.setattr(pack.nodes.load_planner, "on_cpu", lambda role: False)
    graph.add("PreviewAny", source=planner["report"])
    done = run_graph(graph)
    assert "int8 weights are for processors, and the planner runs on" in done.error
    assert "Choose auto, or fp8_e4m3fn where memory is short." in done.error
