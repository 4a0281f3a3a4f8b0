"""A real server, over HTTP: every task in every layout, many clients, Stop anywhere, and what is left behind."""

import io
import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from PIL import Image

from support.comfyui import models as comfy_models
from support.comfyui import task_graphs
from support.comfyui.server import RefusedError
from support.comfyui.task_graphs import SECONDS, encode, finished, opened, silence, text2music

LAYOUTS = ("official", "diffusers", "aio", "split")
TASKS = {  # task -> the variant that plays it, seconds of the song
    "text2music": ("turbo", SECONDS),
    "cover": ("turbo", SECONDS),
    "repaint": ("turbo", SECONDS),
    "extend": ("turbo", SECONDS + 3),
    "lego": ("base", SECONDS),
}
LONG = 10.0  # seconds of a recording that takes many tiles


@pytest.fixture(autouse=True)
def recordings(server):
    task_graphs.record(server.base / "input")
    return task_graphs.record(server.base / "input", LONG, "long.flac")


def songs_of(server, done, node):
    """The sound of every file that an output node listed, as the frontend gets it: [S, 2] each, at 48 kHz."""
    found = [
        soundfile.read(io.BytesIO(server.view(entry)), always_2d=True) for entry in done.ui[node.id]["audio"]
    ]
    assert {rate for _, rate in found} == {48_000}
    return [samples for samples, _ in found]


def song_of(server, graph, song):
    """Run a graph to its end, and listen."""
    done = server.run(graph)
    assert (done.node_errors, done.last, done.error) == ({}, "execution_success", "")
    (samples,) = songs_of(server, done, song.save)
    return samples


def same(one, other):
    return one.shape == other.shape and bool((one == other).all())


def files_below(server):
    return {path for kind in ("output", "temp") for path in (server.base / kind).rglob("*") if path.is_file()}


# --------------------------------------------------------------------------------------------- tasks and layouts
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_plays_in_every_layout(server, task, layout):
    variant, seconds = TASKS[task]
    graph = server.graph()
    song = getattr(task_graphs, task)(graph, comfy_models.layouts(variant)[layout])
    samples = song_of(server, graph, song)
    assert samples.shape == (round(seconds * 48_000), 2)
    assert np.isfinite(samples).all()
    assert abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    assert abs(samples).mean() > 1e-3


def test_the_layouts_meant_are_all_there_are():
    assert tuple(comfy_models.layouts()) == LAYOUTS


# --------------------------------------------------------------------------------------------- clients
def test_two_clients_at_once_get_their_own_songs(server):
    def graph_of(seed):
        graph = server.graph()
        return graph, text2music(graph, seed=seed, steps=20)

    alone = [song_of(server, *graph_of(seed)) for seed in (1, 2)]
    server.free()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: song_of(server, *graph_of(seed)), (1, 2)))
    assert not same(*alone)
    assert all(map(same, alone, together))


def test_fifty_queued_prompts_all_finish(server):
    ids = []
    for seed in range(50):
        graph = server.graph()
        song = text2music(graph, seconds=1.0, steps=1, seed=seed)
        answer = server.queue(graph)
        assert answer["node_errors"] == {}
        ids.append(answer["prompt_id"])
    records = [server.history(prompt_id, seconds=120) for prompt_id in ids]
    assert {record["status"]["status_str"] for record in records} == {"success"}
    listed = [record["outputs"][song.save.id]["audio"] for record in records]
    sounds = {server.view(entry) for entries in listed for entry in entries}
    assert len(sounds) == 50


class GoneError(Exception):
    """The client has left."""


def test_a_client_that_disappears_hurts_nobody(server):
    graph = server.graph()
    song = text2music(graph, seed=11, steps=60)
    left = []

    def leave(event, data):
        if event == "progress" and data["node"] == song.sampler.id:
            left.append(data["prompt_id"])
            raise GoneError

    with pytest.raises(GoneError):
        server.run(graph, leave)
    after = server.graph()
    song_of(server, after, text2music(after, seed=12))
    record = server.history(left[0])
    assert record["status"]["status_str"] == "success"
    server.free()
    (entry,) = record["outputs"][song.save.id]["audio"]
    samples, _ = soundfile.read(io.BytesIO(server.view(entry)), always_2d=True)
    assert same(samples, song_of(server, graph, song))


# --------------------------------------------------------------------------------------------- cache and memory
def test_the_same_prompt_again_is_all_cached_and_unloading_changes_no_sample(server):
    graph = server.graph()
    song = task_graphs.cover(graph, seed=3)
    first = server.run(graph)
    again = server.run(graph)
    (cached,) = (data["nodes"] for event, data in again.events if event == "execution_cached")
    assert set(cached) == set(graph.prompt)
    assert again.ui == first.ui
    server.free()
    third = server.run(graph)
    (cached,) = (data["nodes"] for event, data in third.events if event == "execution_cached")
    assert cached == []
    assert same(*(songs_of(server, done, song.save)[0] for done in (first, third)))
    assert server.view(first.ui[song.save.id]["audio"][0]) == server.view(third.ui[song.save.id]["audio"][0])


# --------------------------------------------------------------------------------------------- progress
def test_every_step_moves_the_bar_and_a_picture_shows_the_song_in_the_making(server):
    graph = server.graph()
    song = text2music(graph, seconds=10.0, steps=200, seed=4)
    done = server.run(graph)
    moves = [d for event, d in done.events if event == "progress" and d["node"] == song.sampler.id]
    shown = [move["value"] for move in moves]  # a host passes on what it can draw; test_host hears every step
    assert shown == sorted(set(shown) & set(range(1, 201)))
    assert (shown[0], shown[-1]) == (1, 200)
    assert {move["max"] for move in moves} == {200}
    assert done.previews
    for picture in done.previews:
        image = Image.open(io.BytesIO(picture))
        assert image.format == "JPEG"
        assert max(image.size) <= 512
        assert len(np.unique(image)) > 8  # something is drawn on it


def test_loading_encoding_and_tiles_move_bars_too(server):
    server.free()
    graph = server.graph()
    task_graphs.cover(graph, name="long.flac", tile="32")
    done = server.run(graph)
    last = {d["node"]: (d["value"], d["max"]) for event, d in done.events if event == "progress"}
    classes = {graph.prompt[node]["class_type"]: value for node, value in last.items()}
    tiles = round(LONG * 25 / 32 + 0.49)
    assert (
        classes.items()
        >= {
            "AceGraphLoad": (5, 5),
            "AceGraphOobleckEncode": (tiles, tiles),
            "AceGraphAudioToCodes": (1, 1),
            "AceGraphCodesToLatent": (1, 1),
            "AceGraphSampler": (2, 2),
            "AceGraphOobleckDecode": (tiles, tiles),
            "AceGraphSaveAudio": (1, 1),
        }.items()
    )


def test_a_planner_shows_a_bar_and_a_line_of_text_under_its_node(server):
    graph = server.graph()
    song = task_graphs.planned(graph)
    nodes = task_graphs.nodes_of(graph)
    graph.change(nodes["AceGraphPlan"], seed=12)
    done = server.run(graph)
    assert (done.last, done.error) == ("execution_success", "")
    assert len(songs_of(server, done, song.save)) == 2
    for kind in ("AceGraphPlan", "AceGraphComposeCodes"):
        moves = [
            d["value"] for event, d in done.events if event == "progress" and d["node"] == nodes[kind].id
        ]
        lines = [text for node, text in done.captions if node == nodes[kind].id]
        told = [int(re.match(r"\d+", line)[0]) for line in lines]  # a slow machine shows a plan's tokens
        assert told == sorted(set(told))
        assert moves == [value for value in told if value in moves]  # a host passes on what it can draw
        assert moves[0] == told[0]
    assert moves[-1] == told[-1] == 50
    assert re.fullmatch(r"50 / 50 codes for each of 2 songs at [\d.]+ per second", lines[-1])


# --------------------------------------------------------------------------------------------- Stop
STOPS = {  # node -> the event at which Stop is pressed
    "AceGraphLoad": "executing",
    "AceGraphEncodeConditions": "executing",
    "AceGraphOobleckEncode": "progress",
    "AceGraphAudioToCodes": "executing",
    "AceGraphSampler": "progress",
    "AceGraphOobleckDecode": "progress",
    "AceGraphSaveAudio": "executing",
}
PLANNER_STOPS = ("AceGraphPlan", "AceGraphComposeCodes", "AceGraphUnderstand")


def long_cover(graph):
    """A cover in which every node takes a while; two songs, so that saving does too."""
    load = opened(graph)
    _, latent = task_graphs.heard(graph, load, "long.flac", "32")
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    batch = graph.add("RepeatLatentBatch", samples=hints["latent"], amount=2)
    conditions = encode(graph, load, "cover", source=latent)
    song = finished(graph, load, conditions, batch[0], tile="32", steps=8)
    graph.change(song.save, format="MP3 320 kbit/s")
    return song


@pytest.fixture(scope="module")
def undisturbed(server):
    """What the graph of the Stop tests sounds like when nobody stops it."""
    task_graphs.record(server.base / "input", LONG, "long.flac")
    graph = server.graph()
    song = long_cover(graph)
    return songs_of(server, server.run(graph), song.save)


@pytest.mark.parametrize("kind", STOPS)
def test_stop_at_any_node_and_the_next_run_is_as_if_it_never_happened(server, undisturbed, kind):
    graph = server.graph()
    song = long_cover(graph)
    node = next(key for key, entry in graph.prompt.items() if entry["class_type"] == kind)
    server.free()
    before, pressed = files_below(server), threading.Event()

    def stop(event, data):
        if event == STOPS[kind] and data["node"] == node and not pressed.is_set():
            pressed.set()
            server.interrupt(data["prompt_id"])

    stopped = server.run(graph, stop)
    assert pressed.is_set()
    assert stopped.last == "execution_interrupted"
    after_it = [data["node"] for event, data in stopped.events if event == "executing"]
    assert len(after_it[after_it.index(node) :]) <= 3  # small nodes may be over before the order arrives
    whole = files_below(server) - before
    assert all(path.suffix == ".mp3" for path in whole)
    assert all(soundfile.info(path).duration >= LONG for path in whole)

    done = server.run(graph)
    assert done.last == "execution_success", done.error
    assert all(itertools.starmap(same, zip(songs_of(server, done, song.save), undisturbed, strict=True)))


@pytest.mark.parametrize("kind", PLANNER_STOPS)
def test_stop_while_a_planner_writes(server, kind):
    graph, written = server.graph(), {"caption": "slow piano", "duration": 120.0, "seed": 5}
    planner = task_graphs.woken(graph)
    if kind == "AceGraphUnderstand":
        codes = graph.add("AceGraphCodesFromText", text=task_graphs.CODES)
        written = {"codes": codes["codes"], "seed": 5}
    node = graph.add(kind, planner=planner, **written)
    graph.add("PreviewAny", source=node["report"])

    def stop(event, data):
        if event == "progress" and data["node"] == node.id:
            server.interrupt(data["prompt_id"])

    stopped = server.run(graph, stop)
    assert stopped.last == "execution_interrupted"
    done = server.run(graph)
    assert (done.last, done.error) == ("execution_success", "")


def test_stop_without_anything_running_stops_nothing_later(server):
    server.interrupt()
    graph = server.graph()
    song_of(server, graph, text2music(graph, seed=13))


def test_stop_takes_the_running_prompt_only(server):
    graph = server.graph()
    song = text2music(graph, seed=14, steps=100)
    waiting = server.graph()
    text2music(waiting, seed=15)
    queued = []

    def stop(event, data):
        if event == "progress" and data["node"] == song.sampler.id and not queued:
            queued.append(server.queue(waiting)["prompt_id"])
            server.interrupt()

    assert server.run(graph, stop).last == "execution_interrupted"
    assert server.history(queued[0])["status"]["status_str"] == "success"


def test_a_refused_prompt_says_which_input_and_the_next_runs(server):
    graph = server.graph()
    load = opened(graph)
    quiet = silence(graph, load, seconds=660.0)
    finished(graph, load, encode(graph, load), quiet)
    with pytest.raises(RefusedError) as refusal:
        server.queue(graph)
    assert "660" in str(refusal.value.answer["node_errors"][quiet[0]])
    good = server.graph()
    song_of(server, good, text2music(good, seed=16))
