"""Heard while sampling, in the real editor: silent until asked, then played before the run has ended, as an AnalyserNode measures."""

import json

import numpy as np
import pytest
import soundfile

from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, until
from support.comfyui.recorder import power, record, recorded
from tools.templates.names import file_of

FOLDER = comfy_host.PACK / "example_workflows"
CASES = [  # each frontend as it draws nodes by itself: the Sampler in sight, or inside of a box; how the run ends
    (FRONTENDS[0], "classic", "text2music", "execution_success"),
    (FRONTENDS[1], "new", "song", "execution_interrupted"),
]
STEPS, SECONDS, PACE = 24, 6.0, 0.5  # a run that takes twelve seconds
WATCH = """async () => {
  const { api } = await import("/scripts/api.js");
  const { tap } = await import(MODULE);
  window.heardLog = [];
  const level = () => {
    const node = tap();
    if (!node) return 0;
    const samples = new Float32Array(node.fftSize);
    node.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  };
  const note = (kind, more = {}) => window.heardLog.push({ kind, rms: level(), ...more });
  if (window.heardWatch) return;
  window.heardWatch = true;
  api.addEventListener("acegraph.heard", ({ detail }) => note("event", detail));
  for (const kind of ["execution_start", "execution_success", "execution_error", "execution_interrupted"]) {
    api.addEventListener(kind, ({ detail }) => note(kind, { prompt_id: detail.prompt_id }));
  }
  setInterval(() => note("level"), 25);
}"""
LOG = "() => window.heardLog"
SWITCHES = """() => Array.from(document.querySelectorAll(".acegraph-heard"), (box) => ({
  listens: box.querySelector("button").getAttribute("aria-checked"), words: box.querySelector("button").textContent,
  step: box.querySelector(".acegraph-heard-step").textContent, what: box.querySelector("canvas").ariaLabel,
  drawn: box.querySelector("canvas").width > 0 && box.querySelector("canvas").getContext("2d")
    .getImageData(0, 0, box.querySelector("canvas").width, box.querySelector("canvas").height).data.some((byte) => byte),
  seen: box.checkVisibility(),
})).filter((view) => view.seen)"""  # those of boxes that are not opened are there and not seen
SWITCH = """(on) => app.extensionManager.setting.set("acestepgraph.listen", on)"""


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def watch(editor):
    """Note events, and 40 times a second how loud it is."""
    packs = editor.server.get("/extensions")
    (module,) = (path for path in packs if path.endswith("/sound.js"))
    editor.js(WATCH.replace("MODULE", json.dumps(module)))
    editor.js("() => { window.heardLog = []; }")


def finished_log(editor):
    """The log of a run that has ended, half a second after it."""

    def ended():
        return [
            row
            for row in editor.js(LOG)
            if row["kind"].startswith("execution_") and row["kind"] != "execution_start"
        ]

    until(ended, "the run has ended")
    editor.page.wait_for_timeout(500)
    return editor.js(LOG)


def opened(editor, name):
    editor.open_template(file_of(name), len(workflow(name)["nodes"]))
    editor.set("AceGraphSilenceLatent", seconds=SECONDS)
    editor.set("AceGraphSampler", steps=STEPS)
    watch(editor)


def saved(editor):
    """How many values every node keeps, and what a box lists as shown, but for the frontend's own picture."""
    return {
        node["id"]: (
            len(node.get("widgets_values") or ()),
            [entry for entry in node["properties"].get("proxyWidgets", ()) if not entry[1].startswith("$$")],
        )
        for node in editor.prompt()["workflow"]["nodes"]
    }


@pytest.fixture
def listener(styled):
    """The editor with nobody listening, as it is at first; it stays as it was."""
    styled.js(SWITCH, False)
    styled.server.post("/tests/slow_runs", {"seconds": PACE})
    yield styled
    styled.server.post("/tests/slow_runs", {"seconds": 0})
    styled.js(SWITCH, False)


@pytest.mark.parametrize(
    ("frontend", "style", "name", "end"), CASES, indirect=["frontend", "style"], scope="session"
)
def test_excerpts_are_silent_until_asked_and_then_heard_before_the_song_is_there(listener, name, end):
    opened(listener, name)
    before = saved(listener)
    listener.press_run()
    until(lambda: any(row["kind"] == "event" for row in listener.js(LOG)), "an excerpt is there")
    (switch,) = until(lambda: [one for one in listener.js(SWITCHES) if one["step"]], "the node shows it")
    assert switch["listens"] == "false"
    assert "Listen" in switch["words"]
    until(lambda: sum(row["kind"] == "event" for row in listener.js(LOG)) > 1, "another excerpt is there")
    assert max(row["rms"] for row in listener.js(LOG)) == 0, "nothing sounds unasked"
    (switch,) = until(lambda: [one for one in listener.js(SWITCHES) if one["drawn"]], "the wave is drawn")
    assert switch["step"].endswith(f"of {STEPS}")
    assert switch["what"].startswith("Excerpt of the song, ")
    listener.page.locator(".acegraph-listen:visible").click()
    until(lambda: any(row["rms"] > 1e-3 for row in listener.js(LOG)), "it is heard")
    listener.picture(f"heard_{name}")
    if end == "execution_interrupted":
        listener.server.interrupt()
    log = finished_log(listener)
    kinds = [row["kind"] for row in log]
    loud = [place for place, row in enumerate(log) if row["rms"] > 1e-3]
    assert loud, "it was heard"
    assert loud[0] < kinds.index(end)
    assert max(row["rms"] for row in log[-8:]) < 1e-4, "the end of the run ends it"
    assert listener.js(SWITCHES)[0]["listens"] == "true"
    assert saved(listener) == before, "nothing of it is saved"
    assert not workflow(name)["groups"] or listener.outside() == []
    assert (listener.toasts(), listener.errors) == ([], [])


TELL = """async ([kind, detail]) => {
  const { api } = await import("/scripts/api.js");
  api.dispatchEvent(new CustomEvent(kind, { detail }));
}"""
RATE, EXCERPT, PITCHES = 48_000, 4, (440, 1320)


@pytest.mark.parametrize(("frontend", "style"), [CASES[1][:2]], indirect=True, scope="session")
def test_a_new_excerpt_comes_in_place_of_the_one_before_within_50_ms(listener):
    """Two tones instead of a song that clears up: both together for a moment, and never less than one of them."""
    graph = {"version": 0.4, "links": [], "groups": [], "extra": {}}
    sampler = {
        "id": 1,
        "type": "AceGraphSampler",
        "pos": [60, 60],
        "size": [320, 600],
        "flags": {},
        "order": 0,
    }
    listener.load({**graph, "nodes": [{**sampler, "mode": 0, "inputs": [], "outputs": [], "properties": {}}]})
    time = np.arange(EXCERPT * RATE) / RATE
    for pitch in PITCHES:
        path = listener.server.base / "temp" / f"acegraph_heard_{pitch}.flac"
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * pitch * time), RATE)
    listener.js(TELL, ["execution_start", {"prompt_id": "a"}])
    told = {
        "node": "1",
        "prompt_id": "a",
        "steps": 8,
        "at": 2.0,
        "seconds": EXCERPT,
        "subfolder": "",
        "type": "temp",
    }
    excerpts = [
        {**told, "step": step, "filename": f"acegraph_heard_{pitch}.flac"}
        for step, pitch in enumerate(PITCHES, 3)
    ]
    listener.js(TELL, ["acegraph.heard", excerpts[0]])
    until(lambda: [one for one in listener.js(SWITCHES) if one["drawn"]], "the node shows it")
    listener.page.locator(".acegraph-listen:visible").click()
    watch(listener)
    until(lambda: any(row["rms"] > 0.3 for row in listener.js(LOG)), "it is heard")
    record(listener)
    listener.page.wait_for_timeout(300)
    listener.js(TELL, ["acegraph.heard", excerpts[1]])
    listener.page.wait_for_timeout(1500)
    listener.js(TELL, ["execution_success", {"prompt_id": "a"}])
    samples, rate = recorded(listener)
    old, new = (power(samples, rate, pitch, 0.005) / 0.25 for pitch in PITCHES)
    middle = slice(10, -10)  # without the edges of what was recorded
    assert (old + new)[middle].min() > 0.7, "it never falls silent"
    both = ((old > 0.1) & (new > 0.1))[middle].sum() * 0.005
    assert both == pytest.approx(0.03, abs=0.02), f"both are heard for {1000 * both:.0f} ms"
    assert old[:10].mean() > 0.9 > 0.1 > new[:10].mean()
    assert new[-20:-10].mean() > 0.9
    assert listener.errors == []
