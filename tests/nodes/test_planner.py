"""The planner's nodes in a real ComfyUI: from words to codes to a song, and back from a song to words."""

import re

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from support.comfyui import models as comfy_models
from support.comfyui import task_graphs
from support.comfyui.task_graphs import TURBO, heard, opened

pytestmark = pytest.mark.usefixtures("short_texts")

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
    assert re.search(r"codes for each of 2 songs at [\d.]+ per second", report)
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


@pytest.mark.parametrize("kind", ["AceGraphPlan", "AceGraphFormat", "AceGraphInspire"])
def test_a_language_that_is_called_unknown_is_kept_like_any_other(run_graph, graph, planner, kind):
    words = {"wish": "a waltz"} if kind == "AceGraphInspire" else {"caption": "slow piano", "lyrics": LYRICS}
    node = graph.add(kind, planner=planner["planner"], language="unknown", **words)
    answer = outputs(run_graph, graph, node)
    assert answer["language"] == "unknown"
    assert "language: unknown" in answer["plan"]


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
    assert 30 <= answer["bpm"] <= 300
    assert answer["time_signature"] in ("2", "3", "4", "6")
    for said in (f"bpm: {answer['bpm']}", f"keyscale: {answer['key']}", f"duration: {SECONDS:.0f}"):
        assert said in answer["plan"]
    assert yaml.safe_load(answer["plan"])["caption"].split() == answer["caption"].split()


def test_other_codes_are_understood_as_something_else(run_graph, graph, planner):
    def plan_of(first):
        text = "".join(f"<|audio_code_{code}|>" for code in range(first, first + 60))
        codes = graph.add("AceGraphCodesFromText", text=text)
        return graph.add("AceGraphUnderstand", planner=planner["planner"], codes=codes["codes"])

    one, same, other = (outputs(run_graph, graph, plan_of(first))["plan"] for first in (0, 0, 40_000))
    assert one == same != other


@pytest.mark.parametrize("name", [comfy_models.PLANNER_FILE, "ace_step_1.5_turbo_aio.safetensors"])
def test_a_planner_comes_as_one_file_too(run_graph, graph, name):
    loaded = graph.add("AceGraphLoadPlanner", planner=name, weight_dtype="fp32")
    words = {"caption": "slow piano", "lyrics": "la", "duration": SECONDS}
    composed = graph.add("AceGraphComposeCodes", planner=loaded["planner"], **words)
    graph.add("AceGraphSaveCodes", codes=composed["codes"])
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    assert [len(item) for item in done[composed["codes"]].items] == [5 * SECONDS]


WANTED = {
    "AceGraphPlan": {"caption": "slow piano", "lyrics": LYRICS, "enrich_caption": False},
    "AceGraphFormat": {"caption": "slow piano", "instrumental": True},
    "AceGraphInspire": {"wish": "a sea shanty", "instrumental": True},
    "AceGraphUnderstand": {},
}


def asked(graph, planner, kind, **more):
    """One of the nodes that answer with a brief."""
    wanted = {**WANTED[kind], **more}
    if kind == "AceGraphUnderstand":
        wanted["codes"] = graph.add("AceGraphCodesFromText", text=task_graphs.CODES)["codes"]
    return graph.add(kind, planner=planner["planner"], **wanted)


@pytest.mark.parametrize("kind", WANTED)
def test_every_answer_fits_the_inputs_of_the_same_name(run_graph, graph, planner, kind):
    node, load = asked(graph, planner, kind), opened(graph, TURBO)
    wires = {name: node[name] for name in FIELDS}
    encoded = graph.add("AceGraphEncodeConditions", text_encoder=load["text_encoder"], **wires)
    shorter = {**wires, "plan": node["plan"], "duration": 10.0}
    composed = graph.add("AceGraphComposeCodes", planner=planner["planner"], **shorter)
    for link in (encoded["conditions"], composed["codes"]):
        graph.add("PreviewAny", source=link)
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    (condition,) = done[encoded["conditions"]]
    told = {name: done[link] for name, link in wires.items()}
    brief = condition.brief
    assert (brief.caption, brief.lyrics, brief.language) == (
        told["caption"],
        told["lyrics"],
        told["language"],
    )
    assert (brief.bpm, brief.duration) == (told["bpm"] or None, told["duration"])


@pytest.mark.parametrize("kind", WANTED)
def test_a_seed_decides_an_answer(run_graph, host, kind):
    answers = []
    for seed in (5, 5, 6):
        graph = host.graph()
        loaded = graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="fp32")
        run_graph.executor.reset()
        answers.append(outputs(run_graph, graph, asked(graph, loaded, kind, seed=seed)))
        answers[-1].pop("report")  # tells the speed
    assert answers[0] == answers[1]
    assert answers[0]["plan"] != answers[2]["plan"]


def test_each_song_of_a_batch_is_the_song_of_its_own_seed(run_graph, graph, planner):
    words = {"planner": planner["planner"], "caption": "slow piano", "lyrics": LYRICS, "duration": SECONDS}
    words["top_k"] = 20  # so that rounding, which differs with the size of a batch, decides nothing
    nodes = [graph.add("AceGraphComposeCodes", seed=7, songs=4, **words)]
    nodes += [graph.add("AceGraphComposeCodes", seed=7 + number, **words) for number in range(4)]
    for node in nodes:
        graph.add("PreviewAny", source=node["codes"])
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    batch, *alone = (done[node["codes"]].items for node in nodes)
    assert [song.tolist() for song in batch] == [song.tolist() for (song,) in alone]
    assert len({tuple(song.tolist()) for song in batch}) == 4


def test_a_planner_that_has_nothing_to_decide_is_not_brought_in(run_graph, graph, planner, pack, monkeypatch):
    given = {"language": "de", "bpm": 71, "key": "C# minor", "time_signature": "3", "duration": 33.0}
    monkeypatch.setattr(pack.nodes.host.runtime.Managed, "loaded", lambda *room: pytest.fail("brought in"))
    outputs(run_graph, graph, plan(graph, planner, **given, enrich_caption=False))


def test_a_planner_without_guidance_needs_half_the_rows(run_graph, graph, planner, pack, monkeypatch):
    told, planning_bytes = [], pack.nodes.runs.planning.planning_bytes

    def noted(sizes, rows, tokens, *more):
        told.append((rows, tokens))
        return planning_bytes(sizes, rows, tokens, *more)

    monkeypatch.setattr(pack.nodes.runs.planning, "planning_bytes", noted)
    for guidance, songs in ((1.0, 1), (2.0, 1), (2.0, 3)):
        words = {"caption": "slow piano", "duration": SECONDS, "guidance": guidance, "songs": songs}
        node = graph.add("AceGraphComposeCodes", planner=planner["planner"], **words)
        graph.add("PreviewAny", source=node["codes"])
    assert run_graph(graph).success
    assert {rows for rows, _ in told} == {1, 2, 6}
    assert all(5 * SECONDS < tokens < 5 * SECONDS + 200 for _, tokens in told)


@pytest.mark.slow
@pytest.mark.parametrize(("fitting", "batches"), [(7, [7]), (5, [4, 3]), (3, [3, 3, 1]), (0, [1] * 7)])
def test_songs_that_do_not_fit_together_are_composed_in_batches(
    run_graph, graph, planner, pack, monkeypatch, fitting, batches
):
    graph.add("PreviewAny", source=planner["report"])
    handle = run_graph(graph)[planner["planner"]]
    compose, bar = pack.nodes.compose, pack.nodes.host.runtime.Bar
    compose_codes, asked, made, moves = compose.compose_codes, [], [], []

    def composed(network, prompts, tokens, count, options):
        asked.append(list(options.seeds))
        made.extend(compose_codes(network, prompts, tokens, count, options))
        return made[-len(options.seeds) :]

    monkeypatch.setattr(compose, "compose_codes", composed)
    monkeypatch.setattr(pack.nodes.runs.planning, "planning_bytes", lambda sizes, rows, *more: rows)
    monkeypatch.setattr(pack.nodes.host.runtime.Managed, "room", 2 * fitting)  # guidance: two rows a song
    monkeypatch.setattr(pack.nodes.runs.planning, "PAUSE", 0.0)
    monkeypatch.setattr(bar, "move", lambda self, done, total: moves.append((done, total)))
    fields = ("slow piano", "la", False, "auto", 0, "auto", "auto", SECONDS, 7, 40)
    codes, report = compose.ComposeCodes.execute(handle, *fields).args
    assert [len(seeds) for seeds in asked] == batches
    assert [seed for seeds in asked for seed in seeds] == list(range(40, 47))
    assert all(map(torch.equal, codes.items, made))
    assert (f"for {batches[0]} songs at a time" in report) == (len(batches) > 1)
    total = round(5 * SECONDS) * len(batches)
    assert moves == [(done, total) for done in range(1, total + 1)]


def test_a_file_of_fp8_weights_stays_as_small_as_it_is(host, run_graph, graph, models):
    whole = load_file(models / "turbo" / "comfy" / "text_encoders" / comfy_models.PLANNER_FILE)
    small = {key: w.to(torch.float8_e4m3fn if w.ndim == 2 else w.dtype) for key, w in whole.items()}
    path = host.base / "models" / "text_encoders" / "planner_fp8_1.7b.safetensors"
    save_file(small, path)
    loaded = graph.add("AceGraphLoadPlanner", planner=path.name)
    nodes = [
        graph.add("AceGraphComposeCodes", planner=loaded["planner"], caption="slow piano", duration=SECONDS),
        graph.add("AceGraphInspire", planner=loaded["planner"], wish="a sea shanty"),
    ]
    for node in nodes:
        graph.add("PreviewAny", source=node["report"])
    done = run_graph(graph)
    path.unlink()
    assert done.success, done.error or done.refused
    network = done[loaded["planner"]].managed.network
    assert {w.dtype for w in network.parameters() if w.ndim == 2} == {torch.float8_e4m3fn}
    assert len(done[nodes[0]["codes"]].items[0]) == 5 * SECONDS
