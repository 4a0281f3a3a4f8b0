"""The pack in the real editor: with the frontend that ComfyUI 0.3.75 brings and the newest, nodes drawn and as HTML."""

import json
from functools import partial
from importlib.metadata import version

import pytest

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, apart, until
from tools.templates.names import file_of

FOLDER = comfy_host.PACK / "example_workflows"
SHORT = 6.0  # seconds of a song that is only there to be loaded again
OWN_SEED = 31
FORMATS = {  # format of Save Audio -> what a browser calls it
    "FLAC 24-bit": "audio/flac",
    "MP3 192 kbit/s": "audio/mpeg",
    "Opus 96 kbit/s": "audio/ogg",
}
PLAYERS = """() => Array.from(document.querySelectorAll(".acegraph-player"), (box) => {
  const audio = box.querySelector("audio");
  return { label: box.querySelector(".acegraph-songs span").textContent, ready: audio.readyState,
           seconds: audio.duration, source: new URL(audio.currentSrc || location).searchParams.get("filename"), rows: box.querySelector(".acegraph-songs").style.display };
})"""

HEARD = """(since) => {
  const boxes = Array.from(document.querySelectorAll(".acegraph-player"));
  const audio = boxes.find((box) => box.querySelector(".acegraph-songs").style.display !== "none").querySelector("audio");
  audio.muted = true;
  if (audio.currentTime > since) audio.pause();
  return audio.currentTime;
}"""
BUTTONS = "() => Array.from(document.querySelectorAll('.acegraph-songs button'), (button) => button.title)"


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def test_the_older_frontend_is_the_one_installed():
    assert version("comfyui-frontend-package") == FRONTENDS[0]


# --------------------------------------------------------------------------------------------- runs, player
def loaded(editor):
    """The players, once each has its song."""
    players = editor.js(PLAYERS)
    return players if players and all(player["ready"] == 4 for player in players) else None


def test_every_song_of_a_batch_is_played(styled):
    styled.open_template(file_of("retake"), len(workflow("retake")["nodes"]))
    styled.set("AceGraphSilenceLatent", seconds=SHORT)
    done = styled.run()
    assert done["status"]["status_str"] == "success", done["status"]
    players = until(lambda: loaded(styled), "the songs can be played")
    styled.fit()
    assert len(players) == 1
    songs, moment = [], 0.0
    for place in (2, 3, 4, 1):
        songs.append(walk_to(styled, "Next song", f"{place} / 4"))
        assert styled.js(HEARD, moment) == pytest.approx(
            moment, abs=0.05
        )  # of the song before, to compare with
        press_play(styled)
        moment = until(partial(heard_since, styled, moment), f"song {place} is heard")
    assert len({song["source"] for song in songs}) == 4
    assert all(song["seconds"] == pytest.approx(SHORT, abs=0.1) for song in songs)
    assert walk_to(styled, "Previous song", "4 / 4")["source"] == songs[2]["source"]


def heard_since(editor, moment):
    """Where a song that plays has come to, once it is further."""
    now = editor.js(HEARD, moment)
    return now if now > moment else None


def press_play(editor):
    """Of the player with several songs."""
    box = editor.page.locator(".acegraph-player:has(.acegraph-songs:visible) audio").bounding_box()
    editor.page.mouse.click(box["x"] + box["height"] / 2, box["y"] + box["height"] / 2)


def walk_to(editor, button, label):
    """Press a button of the player with several songs; what it plays then."""
    editor.page.locator(f".acegraph-songs:visible button[title='{button}']").click()

    def there():
        players = loaded(editor) or ()
        return next((player for player in players if player["label"].startswith(label)), None)

    return until(there, f"song {label} can be played")


def test_the_player_speaks_the_language_of_the_settings(usual):
    usual.open_template(file_of("retake"), len(workflow("retake")["nodes"]))
    usual.fit()
    with usual.speaking("fr"):
        until(lambda: players_say(usual, titles("fr")), "the player speaks French")
    until(lambda: players_say(usual, titles("en")), "the player speaks English")
    assert usual.errors == []


def players_say(editor, words):
    return editor.js(BUTTONS) == words


def titles(language):
    """Of the buttons of a player."""
    path = comfy_host.PACK / "locales" / language / "main.json"
    words = json.loads(path.read_text(encoding="utf-8"))["acestepgraph"]
    return [words["previousSong"], words["nextSong"]]


# --------------------------------------------------------------------------------------------- files dropped
@pytest.mark.parametrize("form", FORMATS)
def test_a_saved_file_dropped_on_the_canvas_brings_its_graph_back(styled, form):
    found = workflow("text2music")
    entry = saved_song(styled.server, found, form)
    styled.js("() => app.graph.clear()")
    styled.drop(entry["filename"], FORMATS[form], styled.server.view(entry))
    styled.page.wait_for_function("(n) => app.graph.nodes.length === n", arg=len(found["nodes"]))
    until(lambda: styled.prompt()["workflow"]["nodes"], "the graph is there")
    back = styled.prompt()
    (sampler,) = (node for node in back["output"].values() if node["class_type"] == "AceGraphSampler")
    assert sampler["inputs"]["seed"] == OWN_SEED
    assert {g["title"] for g in back["workflow"]["groups"]} == {g["title"] for g in found["groups"]}
    assert (styled.toasts(), styled.dialogs()) == ([], [])


def saved_song(server, found, form):
    """Make a song with a graph that is told from the template by its seed; -> the file that was saved."""
    for node in found["nodes"]:
        place = {"AceGraphSampler": (0, OWN_SEED), "AceGraphSaveAudio": (1, form)}.get(node["type"])
        if place:
            node["widgets_values"][place[0]] = place[1]
        if node["type"] == "AceGraphSilenceLatent":
            node["widgets_values"][0] = SHORT
    prompt = api_form.prompt_of(found, server.object_info().__getitem__)
    done = apart(server.run, prompt, workflow=found)
    assert (done.last, done.error) == ("execution_success", "")
    (entry,) = (entry for shown in done.ui.values() for entry in shown.get("audio", ()))
    return entry


# --------------------------------------------------------------------------------------------- stop, errors
def test_stop_ends_a_run_and_the_next_one_works(usual):
    usual.open_template(file_of("text2music"), len(workflow("text2music")["nodes"]))
    usual.set("AceGraphSampler", steps=200, solver="heun")
    usual.set("AceGraphSilenceLatent", seconds=120.0)
    before = set(usual.server.get("/history"))
    usual.press_run()
    until(lambda: usual.server.get("/queue")["queue_running"], "the run has begun")
    usual.page.wait_for_timeout(1500)
    usual.page.get_by_role("button", name="Cancel current run").first.click()
    (key,) = until(lambda: set(usual.server.get("/history")) - before, "the run has ended")
    messages = dict(usual.server.get("/history")[key]["status"]["messages"])
    assert "execution_interrupted" in messages
    usual.set("AceGraphSampler", steps=0, solver="euler")
    usual.set("AceGraphSilenceLatent", seconds=SHORT)
    assert usual.run()["status"]["status_str"] == "success"


def test_what_is_wrong_is_said_in_our_words(usual):
    usual.open_template(file_of("text2music"), len(workflow("text2music")["nodes"]))
    usual.set("AceGraphLoad", model="lost.safetensors")
    done = usual.run()
    assert done["status"]["status_str"] == "error"
    words = "There is no 'lost.safetensors'"
    usual.show_error()
    usual.page.get_by_text(words).first.wait_for()
