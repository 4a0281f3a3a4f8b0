"""The player of Save Audio: songs side by side, compared by ear at the same place, by key, click and touch."""

import json
import math
from functools import partial
from statistics import median

import numpy as np
import pytest
import soundfile

from support.comfyui import host as comfy_host
from support.comfyui.editor import READY, until
from tools.templates.names import file_of

RATE, SECONDS = 48_000, 12
LOWEST, RISE = (
    400,
    100,
)  # Hz of the fixture at its beginning, and Hz more for each second: its pitch is its place
HOSTILE = "<img src=x onerror=window.hacked=1>"
NODE = {"flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}}
GRAPH = {
    "version": 0.4,
    "last_node_id": 2,
    "last_link_id": 0,
    "nodes": [
        {**NODE, "id": 1, "type": "AceGraphSampler", "pos": [60, 60], "size": [320, 600]},
        {**NODE, "id": 2, "type": "AceGraphSaveAudio", "pos": [460, 60], "size": [400, 600]},
    ],
    "links": [],
    "groups": [],
    "extra": {},
}
SOUND = "() => { window.soundModule = import('/extensions/acestep-graph/sound.js'); }"
SHOW = """(output) => {
  const node = app.graph.getNodeById(2);
  app.nodeOutputs = { ...app.nodeOutputs, [node.id]: output };
  node.onExecuted(output);
}"""
MOMENTS = 3  # that are listened to where loudness is compared
CHANGES = 9  # between two songs, at most: now and then a busy machine takes longer for one than a song waits
HEARD = """async () => {
  const { tap } = await window.soundModule;
  const node = tap();
  if (!node) return { rms: 0, hz: 0 };
  const [time, bins] = [new Float32Array(node.fftSize), new Float32Array(node.frequencyBinCount)];
  node.getFloatTimeDomainData(time);
  node.getFloatFrequencyData(bins);
  const best = bins.indexOf(Math.max(...bins));
  const [left, middle, right] = bins.slice(best - 1, best + 2);
  const bin = best + (left - right) / (2 * (left - 2 * middle + right));
  const rms = Math.sqrt(time.reduce((sum, value) => sum + value * value, 0) / time.length);
  return { rms, hz: (bin * node.context.sampleRate) / node.fftSize, at: performance.now() / 1000 };
}"""
ROWS = """() => Array.from(document.querySelectorAll(".acegraph-song"), (row) => ({
  name: row.getAttribute("aria-label"), selected: row.getAttribute("aria-selected"),
  star: row.querySelector(".acegraph-star").textContent, mark: row.querySelector(".acegraph-mark").textContent }))"""
LINES = [[1.0, 4.0, "first"], [5.0, 9.0, HOSTILE]]
SUNG = """() => [document.querySelector(".acegraph-sung").textContent,
  document.querySelector(".acegraph-lines [aria-current=true]")?.title.slice(5)]"""
MARK = "() => (app.graph.getNodeById(2).mark ??= Math.random())"  # of a node that undo has not made anew
INK = """() => Array.from(document.querySelectorAll(".acegraph-wave canvas"), (canvas) => {
  const { width, height } = canvas;
  if (!width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return data.filter((value, place) => place % 4 === 3 && value > 0).length / (width * height);
})"""


def workflow(name):
    path = comfy_host.PACK / "example_workflows" / f"{file_of(name)}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def sweep(amplitude):
    time = np.arange(SECONDS * RATE) / RATE
    return amplitude * np.sin(2 * np.pi * (LOWEST * time + RISE / 2 * time**2))


@pytest.fixture
def player(styled):
    """A player with three songs."""
    return with_songs(styled)


@pytest.fixture
def one_player(usual):
    """The same in each frontend as it draws nodes by itself."""
    return with_songs(usual)


def with_songs(editor):
    """Three songs that tell by their pitch where they are; the second is 6 dB louder."""
    listed, told = [], []
    for place, amplitude in enumerate((0.1, 0.2, 0.1)):
        name = f"{HOSTILE if place == 2 else 'sweep'} {place}.flac"
        path = editor.server.base / "output" / name
        if not path.is_file():
            soundfile.write(path, sweep(amplitude), RATE)
        lufs = 20 * math.log10(amplitude)
        listed.append({"filename": name, "subfolder": "", "type": "output"})
        told.append(
            {"seconds": SECONDS, "lufs": lufs, "peak": lufs, "seed": str(7 + place), "sampler": "1"}
            | {"wave": None, "sheet": None, "lines": LINES}
        )
    editor.load(GRAPH)
    editor.js(SOUND)
    editor.js(SHOW, {"audio": listed, "acegraph_songs": told})
    until(lambda: len(editor.js(ROWS)) == 3, "three songs are listed")
    editor.fit()
    return editor


def press(editor, place, shift=False):
    """The number of a song."""
    name = editor.page.locator(".acegraph-number").nth(place)
    name.click(modifiers=["Shift"] if shift else [])


def heard(editor):
    """What sounds, once something does."""

    def sounds():
        now = editor.js(HEARD)
        return now if now["rms"] > 1e-3 else None

    return until(sounds, "something is heard")


def steady(editor):
    """What sounds: the loudest of a few moments, for where a busy machine stutters a moment has gaps."""
    moments = []
    for _ in range(MOMENTS):
        moments.append(editor.js(HEARD))
        editor.page.wait_for_timeout(100)  # longer than one of them
    return max(moments, key=lambda now: now["rms"])


def place_of(now):
    """Seconds, by the pitch."""
    return (now["hz"] - LOWEST) / RISE


def test_two_songs_are_compared_at_the_same_place_and_loudness(player):
    press(player, 0)
    press(player, 1, shift=True)
    assert [row["mark"] for row in player.js(ROWS)] == ["A", "B", ""]
    player.page.keyboard.press("Space")
    heard(player)
    player.page.wait_for_timeout(700)
    before, went_on, usual = steady(player), list[float](), math.inf
    for change in range(CHANGES):
        player.page.keyboard.press("x")
        player.page.wait_for_timeout(700)
        after = steady(player)
        assert player.js(ROWS)[(change + 1) % 2]["selected"] == "true"
        assert 20 * math.log10(after["rms"] / before["rms"]) == pytest.approx(0, abs=0.5)
        went_on.append(abs(place_of(after) - place_of(before) - (after["at"] - before["at"])))
        before = after
        if len(went_on) % 3 == 0 and (usual := median(went_on[-3:])) < 0.05:
            break
    assert usual < 0.05
    assert max(went_on) < 0.5  # while a machine stutters, a song waits
    assert "-6.0 dB" in player.page.locator(".acegraph-said").inner_text()
    player.page.keyboard.press("m")
    player.page.wait_for_timeout(300)
    louder = steady(player)["rms"] / before["rms"]
    assert 20 * math.log10(louder) == pytest.approx(6.02, abs=0.5)
    player.page.keyboard.press("Space")
    until(lambda: player.js(HEARD)["rms"] < 1e-4, "it is silent")
    assert player.errors == []


def test_a_star_and_a_sent_seed_are_one_step_each_and_survive_undo_and_reload(player):
    press(player, 1)
    player.page.keyboard.press("*")
    until(lambda: stars(player) == "\u2606\u2605\u2606", "the second song has its star")
    player.set("AceGraphSampler", control_after_generate="randomize")
    player.page.keyboard.press("s")
    until(lambda: seed_of(player) == [8, "fixed"], "the seed is in the Sampler")
    assert "Seed 8 " in player.page.locator(".acegraph-said").inner_text()
    place = player.js(MARK)
    player.page.keyboard.press("Control+z")
    until(lambda: seed_of(player)[0] == 0 and player.js(MARK) != place, "the seed is undone")
    until(lambda: stars(player) == "\u2606\u2605\u2606", "the songs and the star are there again")
    assert [row["selected"] for row in player.js(ROWS)] == ["false", "true", "false"]
    player.page.keyboard.press("Control+y")
    until(lambda: seed_of(player) == [8, "fixed"], "the seed is there again")

    stored = player.prompt()["workflow"]
    shown = player.js("() => app.nodeOutputs['2']")
    player.page.reload()
    player.page.wait_for_function(READY)
    player.load(stored)
    assert seed_of(player) == [8, "fixed"]
    for song in (*shown["audio"], *shown["acegraph_songs"]):  # played anew, into other files
        song.update({"filename": f"again {song['filename']}"} if "filename" in song else {})
    player.js(SHOW, shown)
    until(lambda: stars(player) == "\u2606\u2605\u2606", "the star is there")
    assert player.errors == []


def stars(editor):
    return "".join(row["star"] for row in editor.js(ROWS))


def seed_of(editor):
    """Of the Sampler."""
    return editor.js("() => app.graph.getNodeById(1).widgets.slice(0, 2).map((widget) => widget.value)")


def test_labels_of_a_sheet_make_a_table_that_keys_walk_through(one_player):
    shown = one_player.js("() => app.nodeOutputs['2']")
    sides = [["3", HOSTILE], ["0.4", "0.6", "0.8"]]
    shown = {
        "audio": [shown["audio"][place % 2] for place in range(6)],
        "acegraph_songs": [{**shown["acegraph_songs"][0], "sheet": sides}] * 6,
    }
    one_player.js(SHOW, shown)
    until(lambda: len(one_player.js(ROWS)) == 6, "six songs are shown")
    heads = one_player.page.locator(".acegraph-head").all_inner_texts()
    assert heads == ["0.4", "0.6", "0.8", "3", HOSTILE]
    boxes = [one_player.page.locator(".acegraph-song").nth(place).bounding_box() for place in range(6)]
    assert len({round(box["y"]) for box in boxes[:3]}) == 1
    assert len({round(box["x"]) for box in (boxes[1], boxes[4])}) == 1
    press(one_player, 0)
    for key in ("Shift+ArrowRight", "ArrowDown"):
        one_player.page.keyboard.press(key)
    assert [row["selected"] for row in one_player.js(ROWS)].index("true") == 4
    assert one_player.js("() => window.hacked ?? null") is None


def touch(editor, place):
    """A finger on the number of a song, as a screen tells of it."""
    box = editor.page.locator(".acegraph-number").nth(place).bounding_box()
    points = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}]
    tools = editor.page.context.new_cdp_session(editor.page)
    tools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points})
    tools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_of_many_songs_fingers_and_keys_choose_and_the_list_scrolls(one_player):
    shown = one_player.js("() => app.nodeOutputs['2']")
    places = "() => app.graph.nodes.flatMap((node) => [...node.pos])"
    before = one_player.js(places)
    one_player.js(
        SHOW, {name: [entries[place % 2] for place in range(32)] for name, entries in shown.items()}
    )
    until(lambda: len(one_player.js(ROWS)) == 32, "32 songs are shown")
    touch(one_player, 1)
    until(lambda: one_player.js(ROWS)[1]["selected"] == "true", "a touch chooses a song")
    one_player.page.keyboard.press("End")
    until(lambda: one_player.js(ROWS)[31]["selected"] == "true", "the last one is chosen")
    seen = one_player.page.locator(".acegraph-list").bounding_box()
    last = one_player.page.locator(".acegraph-song").nth(31).bounding_box()
    assert seen["y"] - 1 <= last["y"]
    assert last["y"] + last["height"] <= seen["y"] + seen["height"] + 1
    node = "() => { const node = app.graph.getNodeById(2); return [node.size[1], node.computeSize()[1]]; }"
    tall, needed = one_player.js(node)
    assert needed <= tall < 800  # eight rows, not 32
    assert one_player.js(places) == before
    one_player.picture("player_32_songs")


def test_names_of_files_and_lines_stay_text_and_a_press_on_a_line_goes_there(one_player):
    title = one_player.page.locator(".acegraph-song").nth(2).get_attribute("title")
    assert title == f"{HOSTILE} 2.flac"
    shown = one_player.js("() => app.nodeOutputs['2']")
    for songs in (3, 1):
        one_player.js(SHOW, {name: told[:songs] for name, told in shown.items()})
        for place, (_, _, text) in reversed([*enumerate(LINES)]):
            one_player.page.locator(".acegraph-lines button").nth(place).click()
            until(lambda text=text: one_player.js(SUNG) == [text, text], f"{text} is the line that is sung")
    assert one_player.js("() => document.querySelectorAll('.acegraph-player img').length") == 0
    assert one_player.js("() => window.hacked ?? null") is None


def test_a_player_that_begins_stops_the_others(one_player):
    press(one_player, 0)
    one_player.page.keyboard.press("Space")
    heard(one_player)
    one_player.js("""async () => { const { claim } = await window.soundModule; claim({ stop() {} }); }""")
    until(lambda: one_player.js(HEARD)["rms"] < 1e-4, "it is silent")
    assert one_player.page.locator(".acegraph-buttons button").first.get_attribute("aria-label") == "Play"
    one_player.page.keyboard.press("Space")
    heard(one_player)
    one_player.js("() => app.graph.remove(app.graph.getNodeById(2))")
    until(lambda: one_player.js(HEARD)["rms"] < 1e-4, "a node that is gone is silent")


def test_another_workflow_does_not_show_the_songs_of_this_one(one_player):
    one_player.load(GRAPH)
    one_player.page.wait_for_timeout(500)
    assert one_player.js(ROWS) == []


# ---------------------------------------------------------------------------------------------- real runs
def test_every_song_of_a_batch_is_drawn_and_played(usual):
    usual.load(workflow("retake"))
    usual.set("AceGraphSilenceLatent", seconds=6.0)
    assert usual.run()["status"]["status_str"] == "success"
    until(lambda: len(usual.js(ROWS)) == 4, "four songs are listed")
    usual.fit()
    until(lambda: min(usual.js(INK), default=0) > 0.05, "their waves are drawn")
    usual.js(SOUND)
    press(usual, 3)
    usual.page.keyboard.press("Space")
    heard(usual)
    usual.page.keyboard.press("s")
    said = usual.page.locator(".acegraph-said").inner_text()
    assert said == "The seed was not sent: it is not known which Sampler of this graph played the song."
    assert (usual.toasts(), usual.errors) == ([], [])


def test_the_player_speaks_the_language_of_the_settings(usual):
    usual.load(workflow("retake"))
    with usual.speaking("fr"):
        until(partial(speaks, usual, "fr"), "the player speaks French")
    until(partial(speaks, usual, "en"), "the player speaks English")
    assert usual.errors == []


def speaks(editor, language):
    path = comfy_host.PACK / "locales" / language / "main.json"
    words = json.loads(path.read_text(encoding="utf-8"))["acestepgraph"]
    titles = editor.js(
        "() => Array.from(document.querySelectorAll('.acegraph-buttons button'), (one) => one.title)"
    )
    return titles == [
        words[name] for name in ("play", "switchSongs", "matchLoudness", "sendSeed", "saveFile")
    ]
