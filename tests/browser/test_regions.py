"""Regions drawn on a wave, by real clicks, drags, touches and keys, and heard by an analyser behind everything that plays."""

import io
import json
import wave

import numpy as np
import pytest

from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, until
from tools.templates.names import file_of

RATE, SECONDS = 24_000, 15
PART = (6, 10)  # seconds of 440 Hz between 880 Hz
RECORDING = "regions_tones.wav"
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
HEARD = """async (address) => {
  const { tap } = await import(address);
  const analyser = tap();
  if (!analyser) return [0, 0];
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const loudest = bins.indexOf(Math.max(...bins));
  return [(loudest * analyser.context.sampleRate) / analyser.fftSize, Math.hypot(...samples) / Math.sqrt(samples.length)];
}"""
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


def masked(kind="AceGraphChunkMask"):
    """Load Audio, Oobleck Encode and Chunk Mask, with its values as they were before it knew regions."""
    audio = [("AUDIO", "AUDIO", [1])]
    loaded = node(1, "LoadAudio", [20, 60], [280, 140], [], audio, [RECORDING, None, None])
    ends = [("vae", "ACEGRAPH_VAE", None), ("audio", "AUDIO", 1)]
    encoded = node(2, "AceGraphOobleckEncode", [330, 60], [260, 160], ends, [("latent", "LATENT", [2])], [])
    wires = [("latent", "LATENT", 2), ("mask", "MASK", None)]
    mask = node(3, kind, [620, 60], [420, 360], wires, [("mask", "MASK", [])], [*PART, 0])
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

    hand.drag(6, 5)
    hand.drawn(5, 10)
    hand.drag(7, 9)
    hand.drawn(7, 12)
    hand.drag(1, 3, "Shift")
    hand.drawn(1, 3, 7, 12)
    hand.press("Delete")
    hand.drawn(7, 12)
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
    """Play the part: nothing else is heard, and then silence."""
    editor = hand.editor
    (address,) = (one for one in editor.server.get("/extensions") if one.endswith("/sound.js"))
    hand.page.mouse.click(*hand.at(8))
    hand.press("Space")
    until(lambda: editor.js(HEARD, address)[1] > 0.1, "the part is heard", 20)
    pitches = []
    while (heard := editor.js(HEARD, address))[1] > 0.01:
        pitches.append(heard[0])
        hand.page.wait_for_timeout(200)
    assert len(pitches) > 5
    assert max(abs(pitch - 440) for pitch in pitches) < 15
    hand.page.wait_for_timeout(300)
    assert editor.js(HEARD, address)[1] < 1e-4


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
    assert editor.errors == []


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
    said = styled.page.locator(".acegraph-line span")
    length = (
        "(seconds) => { app.graph.nodes.find((n) => n.type === 'EmptyAudio').widgets[0].value = seconds; }"
    )
    styled.load(unheard())
    until(
        lambda: said.count() == 1 and said.inner_text() == words["regionUnknown"], "its length is unknown", 10
    )
    before = set(styled.server.get("/history"))
    styled.page.get_by_role("button", name=words["regionLoad"]).click()
    (key,) = until(lambda: set(styled.server.get("/history")) - before, "the run has ended", 60)
    assert set(styled.server.get("/history")[key]["outputs"]) == {"2"}  # and nothing behind it has run
    until(lambda: said.inner_text() == words["regionSilent"], "the silence is seen", 10)
    styled.js(length, 20)
    until(lambda: said.inner_text() == words["regionLast"], "it is that of the last run", 10)
    styled.js(length, 12)
    until(lambda: said.inner_text() == words["regionSilent"], "it is what would run again", 10)
    assert styled.errors == []
