"""Regions drawn on a wave, by real clicks, drags, touches and keys, and heard by an analyser behind everything that plays."""

import contextlib
import io
import json
import struct
import time
import wave

import numpy as np
import pytest
import soundfile

from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, until
from support.comfyui.recorder import power, record, recorded
from tools.templates.names import file_of

RATE, SECONDS = 24_000, 15
PART = (6, 10)  # seconds of 440 Hz between 880 Hz
LISTENINGS = 2
RECORDING = "regions_tones.wav"
UNREAD, LONG, WORDS = "regions_bursts.aiff", "regions_long.wav", "regions_words.wav"
BEGINNINGS = (3.33, 7.77)
USUAL = ((FRONTENDS[0], "classic"), (FRONTENDS[1], "new"))  # as each frontend draws nodes by itself
VALUES = """() => Object.fromEntries(app.graph.nodes.find((n) => n.type === "AceGraphChunkMask").widgets
  .filter((w) => ["start", "end", "regions"].includes(w.name)).map((w) => [w.name, w.value]))"""
SLIDERS = "() => Array.from(document.querySelectorAll('.acegraph-track [role=slider]'), (e) => Number(e.ariaValueNow))"
BRIGHT = """() => {  // for each second, how many pixels of the wave are there, and how many in the colour of a region
  const canvas = document.querySelector(".acegraph-track canvas");
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const column = (second) => Math.floor(((second + 0.5) / 15) * width);
  return Array.from({ length: 15 }, (_, second) => {
    let lit = 0, drawn = 0;
    for (let y = Math.floor(height * 0.3); y < height; y++) {
      const [r, g, b, a] = data.slice(4 * (y * width + column(second)));
      if (a > 90) drawn++;
      if (a > 200 && b - g > 60) lit++;
    }
    return { drawn, lit };
  });
}"""
PLAYS = (
    "() => document.querySelector('.acegraph-tools button').innerHTML.includes('M3.5')"  # it offers to stop
)
NODES = "() => app.graph.nodes.length"
PLACES = "() => [...app.canvas.ds.offset, ...app.graph.nodes.flatMap((n) => [...n.pos])]"


def recording():
    """A tone in the part, and another one around it."""
    time = np.arange(RATE * SECONDS) / RATE
    inside = (time >= PART[0]) & (time < PART[1])
    tone = 0.6 * np.sin(2 * np.pi * np.where(inside, 440, 880) * time)
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(RATE)
        opened.writeframes((tone * 32767).astype("<i2").tobytes())
    return file.getvalue()


def bursts():
    """What no browser reads: an AIFF file with tones that begin at 3.33 and 7.77 s."""
    time = np.arange(RATE * SECONDS) / RATE
    loud = [((time >= start) & (time < start + 2)) for start in BEGINNINGS]
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * 440 * time) * np.logical_or(*loud), RATE, format="AIFF")
    return file.getvalue()


def node(number, kind, place, size, inputs, outputs, values):
    return {
        "id": number,
        "type": kind,
        "pos": place,
        "size": size,
        "flags": {},
        "order": number,
        "mode": 0,
        "properties": {},
        "inputs": [{"name": name, "type": type_, "link": link} for name, type_, link in inputs],
        "outputs": [{"name": name, "type": type_, "links": links} for name, type_, links in outputs],
        "widgets_values": values,
    }


def masked():
    """Load Audio, Oobleck Encode and Chunk Mask, with its values as they were before it knew regions."""
    audio = [("AUDIO", "AUDIO", [1])]
    loaded = node(1, "LoadAudio", [20, 60], [280, 140], [], audio, [RECORDING, None, None])
    ends = [("vae", "ACEGRAPH_VAE", None), ("audio", "AUDIO", 1)]
    encoded = node(2, "AceGraphOobleckEncode", [330, 60], [260, 160], ends, [("latent", "LATENT", [2])], [])
    wires = [("latent", "LATENT", 2), ("mask", "MASK", None)]
    mask = node(3, "AceGraphChunkMask", [620, 60], [420, 360], wires, [("mask", "MASK", [])], [*PART, 0])
    links = [[1, 1, 0, 2, 1, "AUDIO"], [2, 2, 0, 3, 0, "LATENT"]]
    return {"version": 0.4, "nodes": [loaded, encoded, mask], "links": links, "groups": [], "extra": {}}


class Hand:
    """What a user does to the one wave on the page; places are seconds."""

    def __init__(self, editor):
        self.editor, self.page = editor, editor.page
        self.track = self.page.locator(".acegraph-track")

    def at(self, second):
        box = self.track.bounding_box()
        return box["x"] + box["width"] * second / SECONDS, box["y"] + box["height"] * 0.6

    def drag(self, first, last, *keys):
        mouse = self.page.mouse
        for key in keys:
            self.page.keyboard.down(key)
        mouse.move(*self.at(first))
        mouse.down()
        for part in (0.3, 0.6, 1.0):
            mouse.move(*self.at(first + part * (last - first)))
        mouse.up()
        for key in keys:
            self.page.keyboard.up(key)

    def touch(self, *seconds):
        tools = self.page.context.new_cdp_session(self.page)
        for place, second in enumerate(seconds):
            x, y = self.at(second)
            kind = "touchMove" if place else "touchStart"
            tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        tools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def press(self, key):
        self.page.keyboard.press(key)

    def values(self):
        return self.editor.js(VALUES)

    def drawn(self, *edges):
        """Wait until these are the regions: in the widgets, on the handles, and in what Run would send."""
        pairs = list(zip(edges[::2], edges[1::2], strict=True))
        line = ", ".join(f"{start:.2f}-{end:.2f}" for start, end in pairs) if len(pairs) > 1 else ""
        wanted = {"start": edges[0], "end": edges[-1], "regions": line}
        until(lambda: near(self.values(), wanted), f"{wanted} is written, not {self.values()}", 15)
        found = until(
            lambda: len(self.editor.js(SLIDERS)) == len(edges) and self.editor.js(SLIDERS), "handles", 15
        )
        until(
            lambda: self.editor.js(SLIDERS) == pytest.approx(list(edges), abs=0.2),
            f"{edges} has handles, not {found}",
            15,
        )
        values = self.values()
        for second in (values["start"], values["end"]):
            assert second * 25 == pytest.approx(round(second * 25), abs=1e-9)
        prompt = self.editor.prompt()["output"]
        (inputs,) = (one["inputs"] for one in prompt.values() if one["class_type"] == "AceGraphChunkMask")
        assert {name: inputs[name] for name in values} == values
        return values


def near(found, wanted):
    """A pixel is a twentieth of a second, so hands are not exact; the line names the same as start and end."""
    if bool(found["regions"]) != bool(wanted["regions"]):
        return False
    return all(found[name] == pytest.approx(wanted[name], abs=0.2) for name in ("start", "end"))


@pytest.fixture
def hand(styled, studio, frontend):
    folder = studio.server(frontend).base / "input"
    (folder / RECORDING).write_bytes(recording())
    styled.load(masked())
    styled.page.keyboard.press("Escape")
    return Hand(styled)


def test_a_part_is_drawn_before_any_run_and_undone_step_by_step(hand):
    """By mouse, and in the end heard: exactly the part, and then silence."""
    editor = hand.editor
    shown = until(lambda: (b := editor.js(BRIGHT))[8]["lit"] > 5 and b, "the wave is seen", 20)
    assert [second for second in range(SECONDS) if shown[second]["lit"] > 5] == list(range(*PART))
    assert min(second["drawn"] for second in shown) > 5
    assert hand.values() == {"start": 6, "end": 10, "regions": ""}
    count, places = editor.js(NODES), editor.js(PLACES)

    for act, edges in (
        (lambda: hand.drag(6, 5), (5, 10)),
        (lambda: hand.drag(7, 9), (7, 12)),
        (lambda: hand.drag(1, 3, "Shift"), (1, 3, 7, 12)),
        (lambda: hand.press("Delete"), (7, 12)),
    ):
        act()
        hand.drawn(*edges)
        hand.page.wait_for_timeout(
            300
        )  # what a robot does at once, the newest frontend takes for the same step
    assert editor.js(NODES) == count
    assert editor.js(PLACES) == places  # neither the canvas nor a node went along with the hand
    for edges in ((1, 3, 7, 12), (7, 12), (5, 10), PART):
        hand.press("Control+z")
        hand.drawn(*edges)
        hand.page.wait_for_timeout(600)  # frontends drop a key while they build the graph anew
    assert hand.values() == {"start": 6, "end": 10, "regions": ""}

    heard_alone(hand)
    assert editor.errors == []


def heard_alone(hand):
    """Play the part: four seconds of its own tone, to 30 ms, and then silence; nothing has sounded before."""
    editor = hand.editor
    hand.page.mouse.click(*hand.at(8))
    assert editor.js(PLAYS) is False
    hand.press("Space")  # a player must have played once before it can be listened to
    until(lambda: editor.js(PLAYS), "it plays", 20)
    hand.press("Space")
    until(lambda: not editor.js(PLAYS), "it is stopped", 10)
    hand.page.wait_for_timeout(100)
    parts = [one_listening(hand) for _ in range(LISTENINGS)]
    assert any(as_long_as_the_part(samples, rate) for samples, rate in parts)
    for samples, rate in parts:
        inside, outside = (power(samples, rate, pitch, 0.02) for pitch in (440, 880))
        assert np.median(inside) > 0.1
        assert (outside > 0.2 * inside).sum() * 0.02 <= 0.04  # of both edges


def one_listening(hand):
    """What is heard from Space to the end of the part."""
    editor = hand.editor
    record(editor)
    hand.press("Space")
    until(lambda: editor.js(PLAYS), "it plays", 20)
    until(lambda: not editor.js(PLAYS), "it has ended", 20)
    hand.page.wait_for_timeout(300)
    return recorded(editor)


def as_long_as_the_part(samples, rate):
    """A busy machine stutters now and then, which no page can help; what is wrong in a page is so every time."""
    return len(samples) / rate == pytest.approx(PART[1] - PART[0], abs=0.03)


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_fingers_and_keys_do_the_same(hand):
    editor = hand.editor
    until(lambda: editor.js(BRIGHT)[8]["lit"] > 5, "the wave is seen", 20)
    hand.touch(6, 5.5, 5, 4)
    hand.drawn(4, 10)
    hand.press("Control+z")
    hand.drawn(*PART)
    until(lambda: hand.track.count() == 1 and editor.js(SLIDERS) == [6, 10], "the wave is there again")
    hand.page.wait_for_timeout(600)
    hand.touch(10, 10.6, 11.5, 12)
    start = hand.drawn(6, 12)
    hand.press("ArrowRight")
    until(lambda: hand.values()["start"] == pytest.approx(start["start"] + 0.04), "a frame further", 10)
    hand.press("Shift+ArrowRight")
    until(lambda: hand.values()["start"] == pytest.approx(start["start"] + 1.04), "a second further", 10)
    hand.press("Tab")
    hand.press("End")
    until(lambda: hand.values()["end"] == SECONDS, "to the end", 10)
    before, count = hand.values(), editor.js(NODES)
    hand.press("Home")  # never behind its own start
    until(lambda: hand.values()["end"] == pytest.approx(before["start"] + 0.04), "a frame is left", 10)
    hand.press("Delete")
    until(lambda: hand.values() == {"start": 0, "end": -1, "regions": ""}, "nothing is chosen", 10)
    hand.press("Backspace")
    assert editor.js(NODES) == count
    assert editor.errors == []


@pytest.mark.parametrize(("frontend", "style"), [USUAL[1]], indirect=True, scope="session")
def test_a_view_outlives_undo_and_a_hand_that_thinks_again_changes_nothing(hand):
    editor = hand.editor
    until(lambda: editor.js(BRIGHT)[8]["lit"] > 5, "the wave is seen", 20)
    hand.drag(6, 5)
    hand.drawn(5, 10)
    hand.page.mouse.click(*hand.at(8))
    hand.page.mouse.wheel(0, -300)
    places = "() => Array.from(document.querySelectorAll('.acegraph-track [role=slider]'), (e) => parseFloat(e.style.left))"
    before = until(lambda: (p := editor.js(places))[0] < 100 and p, "it is larger", 10)
    hand.press("Control+z")
    hand.drawn(*PART)
    until(lambda: editor.js(places)[1] == pytest.approx(before[1], abs=2), "it is as large as before", 10)
    hand.press("Escape")
    hand.page.mouse.click(*hand.at(8))
    hand.press("f")
    mouse = hand.page.mouse
    mouse.move(*hand.at(8))
    mouse.down()
    mouse.move(*hand.at(9))
    mouse.move(*hand.at(10))
    until(lambda: hand.values()["start"] > 7, "it follows the hand", 10)
    hand.press("Escape")
    mouse.up()
    until(lambda: hand.values() == {"start": 6, "end": 10, "regions": ""}, "it is back", 10)
    known = alive(hand.page)  # those of other open workflows included
    editor.js(STEPS)
    hand.drawn(*PART)
    assert alive(hand.page) <= known + 5  # of fifty that were made: the frontend knows some of the last ones
    assert editor.errors == []


STEPS = """async () => {
  const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
  for (let step = 0; step < 25; step++) {
    await tracker.redo();
    await tracker.undo();
  }
}"""
EDITORS = "function () { return this.filter((one) => one.classList.contains('acegraph-region')).length; }"


def alive(page):
    """Editors in the page's memory, those that nobody sees included, once it has been cleared."""
    tools = page.context.new_cdp_session(page)
    kind = tools.send("Runtime.evaluate", {"expression": "HTMLDivElement.prototype"})["result"]["objectId"]
    found = tools.send("Runtime.queryObjects", {"prototypeObjectId": kind})["objects"]["objectId"]
    asked = {"objectId": found, "functionDeclaration": EDITORS, "returnByValue": True}
    return tools.send("Runtime.callFunctionOn", asked)["result"]["value"]


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_the_repaint_template_shows_its_recording_before_any_run(styled):
    path = comfy_host.PACK / "example_workflows" / f"{file_of('repaint')}.json"
    styled.load(json.loads(path.read_text(encoding="utf-8")))
    track = styled.page.locator(".acegraph-track canvas")
    drawn = """() => { const c = document.querySelector(".acegraph-track canvas");
      return c.getContext("2d").getImageData(0, c.height / 2, c.width, 1).data.filter((v, i) => i % 4 === 3 && v > 90).length; }"""
    until(lambda: track.count() and styled.js(drawn) > 50, "the wave is seen before any run", 20)
    (region,) = (one for one in styled.prompt()["output"].values() if one["class_type"] == "AceGraphRegion")
    assert {name: region["inputs"][name] for name in ("start", "end", "regions")} == {
        "start": 6,
        "end": 10,
        "regions": "",
    }
    assert set(region["inputs"]) == {"audio", "start", "end", "fade", "bpm", "regions"}
    assert json.dumps(styled.prompt()["workflow"]).count("acegraph_region") == 0
    assert styled.errors == []


def unheard():
    """Region on a sound that only a run makes."""
    made = node(1, "EmptyAudio", [20, 60], [280, 140], [], [("AUDIO", "AUDIO", [1])], [12, 44100, 2])
    outputs = [("audio", "AUDIO", [2]), ("mask", "MASK", []), ("report", "STRING", [])]
    region = node(
        2, "AceGraphRegion", [400, 60], [420, 420], [("audio", "AUDIO", 1)], outputs, [2, 4, 0, 0, ""]
    )
    after = node(3, "PreviewAudio", [900, 60], [300, 140], [("audio", "AUDIO", 2)], [], [None])
    links = [[1, 1, 0, 2, 0, "AUDIO"], [2, 2, 0, 3, 0, "AUDIO"]]
    return {"version": 0.4, "nodes": [made, region, after], "links": links, "groups": [], "extra": {}}


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_a_sound_that_only_a_run_makes_is_loaded_by_a_run_of_its_own(styled):
    words = json.loads((comfy_host.PACK / "locales/en/main.json").read_text(encoding="utf-8"))["acestepgraph"]
    said = styled.page.locator(".acegraph-line [role=status]")
    length = (
        "(seconds) => { app.graph.nodes.find((n) => n.type === 'EmptyAudio').widgets[0].value = seconds; }"
    )
    styled.load(unheard())
    until(
        lambda: said.count() == 1 and said.inner_text() == words["regionUnknown"], "its length is unknown", 10
    )
    record = styled.ended(styled.queued(styled.page.get_by_role("button", name=words["regionLoad"]).click))
    assert set(record["outputs"]) == {"2"}  # and nothing behind it has run
    until(lambda: said.inner_text() == words["regionSilent"], "the silence is seen", 10)
    styled.js(length, 20)
    until(lambda: said.inner_text() == words["regionLast"], "it is that of the last run", 10)
    styled.js(length, 12)
    until(lambda: said.inner_text() == words["regionSilent"], "it is what would run again", 10)
    assert styled.errors == []


def spoken(name, *values):
    words = json.loads((comfy_host.PACK / "locales/en/main.json").read_text(encoding="utf-8"))["acestepgraph"]
    return words[name].replace("%1", *values) if values else words[name]


def written():
    """Region behind a song that a Sampler plays from lyrics; and Chunk Mask behind a recording with room around it."""
    graph = masked()
    (loaded, encoded, mask), links = graph["nodes"], graph["links"]
    ends = [("model", "ACEGRAPH_MODEL", None), ("latent", "LATENT", 2)]
    room = node(4, "AceGraphExtend", [330, 300], [260, 160], ends, [("latent", "LATENT", [3])], [2, 5])
    mask["inputs"][0]["link"] = 3
    lyrics = "[Verse]\nla\n\n[Chorus]\nla"
    wires = [("text_encoder", "ACEGRAPH_TEXT_ENCODER", None)]
    values = ["", lyrics, False, "text2music", "", "en", 96]
    brief = node(
        5,
        "AceGraphEncodeConditions",
        [20, 300],
        [280, 500],
        wires,
        [("c", "ACEGRAPH_CONDITIONS", [4])],
        values,
    )
    wires = [("model", "ACEGRAPH_MODEL", None), ("conditions", "ACEGRAPH_CONDITIONS", 4)]
    played = node(6, "AceGraphSampler", [330, 520], [260, 500], wires, [("latent", "LATENT", [5])], [])
    wires = [("vae", "ACEGRAPH_VAE", None), ("latent", "LATENT", 5)]
    song = node(7, "AceGraphOobleckDecode", [20, 860], [280, 100], wires, [("audio", "AUDIO", [6])], [])
    region = node(8, "AceGraphRegion", [620, 460], [420, 400], [("audio", "AUDIO", 6)], [], [2, 4, 0, 0, ""])
    links[1:] = [[2, 2, 0, 4, 1, "LATENT"], [3, 4, 0, 3, 0, "LATENT"], [4, 5, 0, 6, 1, "ACEGRAPH_CONDITIONS"]]
    links += [[5, 6, 0, 7, 1, "LATENT"], [6, 7, 0, 8, 0, "AUDIO"]]
    return {**graph, "nodes": [loaded, encoded, room, mask, brief, played, song, region]}


@pytest.mark.parametrize(("frontend", "style"), [USUAL[1]], indirect=True, scope="session")
def test_room_around_a_recording_and_the_sections_of_a_song_are_seen_before_any_run(hand):
    editor = hand.editor
    editor.load(written())
    said = editor.page.locator(".acegraph-line [role=status]")
    until(lambda: said.nth(0).inner_text().startswith("4.00 / 22.00 s"), "the song and its room are seen", 20)
    assert said.nth(1).inner_text() == spoken("regionUnknown")
    assert editor.page.locator(".acegraph-chips i").all_inner_texts() == ["Verse", "Chorus"]
    editor.picture("regions_room_and_sections")
    assert editor.errors == []


WIDGET = """([type, name, value]) => {
  const widget = app.graph.nodes.find((n) => n.type === type).widgets.find((w) => w.name === name);
  if (value !== undefined) widget.value = value;
  return widget.value;
}"""
SONGS = """([wave, more]) => {  // as a run tells of a batch
  const node = app.graph.nodes.find((n) => n.type === "AceGraphRegion");
  node.onExecuted({ acegraph_wave: [wave, { ...wave, ...more }] });
}"""


@pytest.mark.parametrize(("frontend", "style"), [USUAL[1]], indirect=True, scope="session")
def test_what_no_browser_reads_is_drawn_and_what_cannot_be_is_said(hand):
    """And edges meet where its tones begin."""
    editor, page = hand.editor, hand.page
    folder = editor.server.base / "input"
    (folder / UNREAD).write_bytes(bursts())
    (folder / WORDS).write_text("la la la " * 500, encoding="utf-8")
    soundfile.write(folder / LONG, np.zeros(1201 * 1_000), 1_000, subtype="PCM_U8")
    graph = unheard()
    graph["nodes"][0] = node(
        1, "LoadAudio", [20, 60], [280, 140], [], [("AUDIO", "AUDIO", [1])], [WORDS, None, None]
    )
    editor.load(graph)
    said = page.locator(".acegraph-line [role=status]")
    load = page.get_by_role("button", name=spoken("regionLoad"))
    for name, text in (
        (LONG, spoken("regionLarge")),
        ("regions_gone.wav", spoken("regionGone")),
        (WORDS, spoken("regionUnreadable")),
        (UNREAD, "2.00 / 15.00 s"),
    ):
        editor.js(WIDGET, ["LoadAudio", "audio", name])
        says(said, text)
        assert load.is_visible() == (name == LONG)

    edges_meet_tones(hand)
    page.get_by_role("button", name=spoken("regionPlay")).click()
    says(said, spoken("regionUnplayable"))
    record = editor.ended(editor.queued(load.click))  # which makes a copy that it plays
    until(lambda: "/ 15.00 s" in said.inner_text(), "it is drawn from the run", 20)
    page.get_by_role("button", name=spoken("regionPlay")).click()
    until(lambda: editor.js(PLAYS), "it plays", 20)
    until(lambda: not editor.js(PLAYS), "it has ended", 20)
    (wave,) = record["outputs"]["2"]["acegraph_wave"]
    one_of_several(editor, wave)
    assert editor.errors == []


def edges_meet_tones(hand):
    """A hand that comes near a beginning arrives there; with Alt it stays where it is."""
    editor, keyboard = hand.editor, hand.page.keyboard
    hand.drag(2, BEGINNINGS[0] + 0.1)
    until(
        lambda: editor.js(WIDGET, ["AceGraphRegion", "start"]) == pytest.approx(3.32), "it meets the tone", 10
    )
    keyboard.down("Alt")
    hand.drag(3.32, BEGINNINGS[0] + 0.15)
    keyboard.up("Alt")
    until(lambda: editor.js(WIDGET, ["AceGraphRegion", "start"]) > 3.4, "Alt is free", 10)


def says(line, text):
    """A line says this before long; what it says instead is told."""
    try:
        until(lambda: line.inner_text().startswith(text), "", 60)
    except TimeoutError:
        pytest.fail(f"{line.inner_text()!r} is said, and not {text!r}")


def one_of_several(editor, wave):
    """Two songs, of which the other one is seen; its tempo is halved."""
    page, said = editor.page, editor.page.locator(".acegraph-line [role=status]")
    (editor.server.base / "temp" / "regions_other.peaks").write_bytes(
        struct.pack("<4sHHII", b"AGPK", 1, 1, 100, 500) + bytes([200, 60] * 500)
    )
    beats = {"bpm": 126.0, "phase": 0.5, "estimated": True}
    other = {"wave": {**wave["wave"], "filename": "regions_other.peaks"}, "seconds": 5, "beats": beats}
    editor.js(SONGS, [wave, {**other, "sound": {**wave["sound"], "filename": "regions_other.flac"}}])
    items = page.locator(".acegraph-line select")
    until(items.is_visible, "the songs can be chosen", 10)
    items.select_option("1")
    until(
        lambda: "/ 5.00 s" in said.inner_text() and "126.0" in said.inner_text(), "the other one is seen", 10
    )
    page.get_by_role("button", name=spoken("regionHalf")).click()
    until(lambda: editor.js(WIDGET, ["AceGraphRegion", "bpm"]) == 63, "half the tempo is known", 10)
    until(lambda: spoken("regionBeats", "63.0") in said.inner_text(), "it is said", 10)
    assert not page.get_by_text(spoken("regionTempo", "63.0")).count()
    editor.picture("regions_songs_and_tempo")


QUEUE = "() => app.queuePrompt(0, 1, ['2'])"  # comes back once the page has been told
ONE_WAITS = "() => app.api.dispatchCustomEvent('status', { exec_info: { queue_remaining: 1 } })"


@contextlib.contextmanager
def answered_late(styled):
    """The page hears that a prompt was queued only after it has run."""

    def late(route):
        before = set(styled.server.get("/history"))
        answer = route.fetch()
        until(lambda: set(styled.server.get("/history")) - before, "the run has ended", 60)
        time.sleep(1)
        route.fulfill(response=answer)

    styled.page.route("**/prompt", late)
    try:
        yield
    finally:
        styled.page.unroute("**/prompt")


LENGTH = "(seconds) => { app.graph.nodes.find((n) => n.type === 'EmptyAudio').widgets[0].value = seconds; }"


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_a_run_that_is_over_before_the_page_hears_that_it_was_queued_is_this_one_and_no_run_before(styled):
    """As it happens to a short run where the page is busy: what it hears comes in by two ways."""
    said = styled.page.locator(".acegraph-line [role=status]")
    styled.load(unheard())
    says(said, spoken("regionUnknown"))
    with answered_late(styled):
        for seconds in (9, 11):  # another length, so that nothing comes from the cache
            styled.js(LENGTH, seconds)
            styled.page.evaluate(QUEUE)
            says(said, spoken("regionSilent"))
        styled.js(LENGTH, 9)
        says(said, spoken("regionLast"))
    assert styled.errors == []


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_what_comes_while_another_run_may_still_go_on_is_taken_for_a_run_before(styled):
    said = styled.page.locator(".acegraph-line [role=status]")
    styled.load(unheard())
    says(said, spoken("regionUnknown"))
    styled.js(LENGTH, 13)
    with answered_late(styled):
        styled.page.evaluate(f"() => {{ ({ONE_WAITS})(); return ({QUEUE})(); }}")
    says(said, spoken("regionLast"))
    assert styled.errors == []


ASLEEP = """async (address) => {  // a page that may not sound yet: its AudioContext stays suspended
  const { tap } = await import(address);
  const [Before, wakes] = [AudioContext, AudioContext.prototype.resume];
  window.AudioContext = class extends Before {
    constructor(...given) { super(...given); this.suspend(); }
  };
  Before.prototype.resume = () => new Promise(() => {});
  await tap()?.context.suspend();
  window.awaken = async () => {
    window.AudioContext = Before;
    Before.prototype.resume = wakes;
    await tap()?.context.resume();
  };
}"""
REFUSED = """() => {
  const plays = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("Not before a click.", "NotAllowedError"));
  window.awaken = () => { HTMLMediaElement.prototype.play = plays; };
}"""


@pytest.mark.parametrize("blocked", [ASLEEP, REFUSED], ids=["context", "element"])
@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_where_the_page_may_not_sound_yet_another_click_is_asked_for(hand, blocked):
    editor = hand.editor
    until(lambda: editor.js(BRIGHT)[8]["lit"] > 5, "the wave is seen", 20)
    (address,) = (one for one in editor.server.get("/extensions") if one.endswith("/sound.js"))
    said = hand.page.locator(".acegraph-line [role=status]")
    editor.js(blocked, address)
    try:
        hand.page.mouse.click(*hand.at(8))
        hand.press("Space")
        says(said, spoken("regionClick"))
        assert editor.js(PLAYS) is False
    finally:
        editor.js("() => window.awaken()")
    hand.press("Space")
    until(lambda: editor.js(PLAYS), "it plays", 20)
    says(said, "4.00 / 15.00 s")
    hand.press("Space")
    until(lambda: not editor.js(PLAYS), "it is stopped", 10)
    assert editor.errors == []


def header(size, rate=192_000):
    """The first 44 bytes of a WAV file of so many bytes of sound: stereo, 8 bits."""
    form = struct.pack("<HHIIHH", 1, 2, rate, 2 * rate, 2, 8)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
    )


def hard_files(folder):
    """Name -> what is said of it, what is said once it is to be played, and whether it plays then."""
    time = np.arange(RATE) / RATE
    soundfile.write(folder / "regions_double.wav", np.sin(2 * np.pi * 440 * time), RATE, subtype="DOUBLE")
    (folder / "regions_empty.wav").write_bytes(header(0))
    with (folder / "regions_heavy.wav").open("wb") as opened:  # seven minutes; a hole takes no room on a disk
        opened.write(header(160_000_000))
        opened.truncate(44 + 160_000_000)
    return {
        "regions_double.wav": ("2.00 / 1.00 s", spoken("regionUnplayable"), False),
        "regions_empty.wav": (spoken("regionUnreadable"), spoken("regionUnreadable"), False),
        "regions_heavy.wav": ("2.00 / 416.67 s", "2.00 / 416.67 s", True),
    }


@pytest.mark.parametrize(("frontend", "style"), USUAL, indirect=True, scope="session")
def test_hard_files_are_drawn_or_answered_by_a_sentence(styled):
    page, graph = styled.page, unheard()
    expected = hard_files(styled.server.base / "input")
    outputs = [("AUDIO", "AUDIO", [1])]
    graph["nodes"][0] = node(1, "LoadAudio", [20, 60], [280, 140], [], outputs, [RECORDING, None, None])
    styled.load(graph)
    said = page.locator(".acegraph-line [role=status]")
    for name, (first, then, plays) in expected.items():
        styled.js(WIDGET, ["LoadAudio", "audio", name])
        says(said, first)
        page.get_by_role("button", name=spoken("regionPlay")).click()
        until(lambda plays=plays: styled.js(PLAYS) is plays, f"{name} plays or not", 20)
        says(said, then)
        assert page.get_by_role("button", name=spoken("regionLoad")).is_visible() == (
            then == spoken("regionUnplayable")
        )
    page.get_by_role("button", name=spoken("regionPlay")).click()
    until(lambda: not styled.js(PLAYS), "it is stopped", 10)
    assert styled.errors == []
