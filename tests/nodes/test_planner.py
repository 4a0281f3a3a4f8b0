"""The planner's nodes in a real ComfyUI: from words to codes to a song, and back from a song to words."""

import re

import comfy_models
import pytest
import task_graphs
from task_graphs import TURBO, heard, opened

SECONDS = 12.0
FIELDS = ("caption", "lyrics", "language", "bpm", "key", "time_signature", "duration")
LYRICS = "[Verse]\nla la\n[Chorus]\nla"


@pytest.fixture
def planner(graph):
    """Load Planner."""
    return graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="fp32")


def plan(graph, planner, **fields):
    words = {"caption": "slow piano", "lyrics": LYRICS, **fields}
    return graph.add("AceGraphPlan", planner=planner["planner"], **words)


def outputs(run_graph, graph, node):
    """The node's outputs by name."""
    shown = {name: graph.add("PreviewAny", source=node[name]) for name in (*FIELDS, "plan", "report")}
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    return {name: done[node[name]] for name in shown}


def test_a_planned_song_is_composed_encoded_and_played(run_graph, graph, planner):
    load = opened(graph, TURBO)
    planned = plan(graph, planner, duration=SECONDS, seed=3)
    composed = graph.add(
        "AceGraphComposeCodes",
        planner=planner["planner"],
        caption="slow piano",
        lyrics=LYRICS,
        plan=planned["plan"],
        songs=2,
    )
    encoded = graph.add(
        "AceGraphEncodeConditions",
        text_encoder=load["text_encoder"],
        codes=composed["codes"],
        **{name: planned[name] for name in FIELDS},
    )
    latent = graph.add("AceGraphCodesToLatent", model=load["model"], codes=composed["codes"])
    song = task_graphs.finished(graph, load, encoded["conditions"], latent["latent"])
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    codes, report = done[composed["codes"]], done[composed["report"]]
    assert [len(item) for item in codes.items] == [5 * SECONDS] * 2
    assert not codes.items[0].equal(codes.items[1])
    assert re.search(r"codes for 2 songs at [\d.]+ per second", report)
    assert len(done.files(song.save)) == 2


def test_what_somebody_set_comes_out_as_it_was(run_graph, graph, planner):
    given = {
        "caption": "slow piano",
        "lyrics": LYRICS,
        "language": "de",
        "bpm": 71,
        "key": "C# minor",
        "time_signature": "3",
        "duration": 33.0,
    }
    answer = outputs(run_graph, graph, plan(graph, planner, **given, enrich_caption=False))
    assert {name: answer[name] for name in FIELDS} == given
    assert "not asked" in answer["report"]


@pytest.mark.parametrize("kind", ["AceGraphPlan", "AceGraphFormat"])
def test_what_nobody_set_is_decided(run_graph, graph, planner, kind):
    node = graph.add(kind, planner=planner["planner"], caption="slow piano", lyrics=LYRICS, key="A minor")
    answer = outputs(run_graph, graph, node)
    assert answer["key"] == "A minor"
    assert 30 <= answer["bpm"] <= 300
    assert 10 <= answer["duration"] <= 600
    assert answer["time_signature"] in ("2", "3", "4", "6")
    assert answer["caption"].strip()
    assert f"bpm: {answer['bpm']}" in answer["plan"]
    assert re.search(r"tokens at [\d.]+ per second", answer["report"])


def test_a_wish_becomes_a_brief(run_graph, graph, planner):
    node = graph.add(
        "AceGraphInspire",
        planner=planner["planner"],
        wish="a sea shanty",
        instrumental=True,
        language="fr",
        duration=21.0,
    )
    answer = outputs(run_graph, graph, node)
    assert (answer["lyrics"], answer["language"], answer["duration"]) == ("[Instrumental]", "fr", 21.0)


def test_a_recording_is_understood(run_graph, graph, host, planner):
    task_graphs.record(host.base / "input", SECONDS, "twelve.flac")
    load = opened(graph, TURBO)
    _, latent = heard(graph, load, "twelve.flac")
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    node = graph.add("AceGraphUnderstand", planner=planner["planner"], codes=codes["codes"])
    answer = outputs(run_graph, graph, node)
    assert answer["duration"] == SECONDS
    assert answer["caption"].strip()


@pytest.mark.parametrize("name", [comfy_models.PLANNER_FILE, "ace_step_1.5_turbo_aio.safetensors"])
def test_a_planner_comes_as_one_file_too(run_graph, graph, name):
    loaded = graph.add("AceGraphLoadPlanner", planner=name, weight_dtype="fp32")
    words = {"caption": "slow piano", "lyrics": "la", "duration": SECONDS}
    composed = graph.add("AceGraphComposeCodes", planner=loaded["planner"], **words)
    graph.add("AceGraphSaveCodes", codes=composed["codes"])
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    assert [len(item) for item in done[composed["codes"]].items] == [5 * SECONDS]
