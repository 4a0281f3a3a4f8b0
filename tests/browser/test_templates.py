"""Every template in the real editor, with both frontends: opens in silence, tidy and complete, and plays by a click.

SCREENSHOTS=1 opens every one in both styles of each frontend, and leaves a picture of each in .host/screenshots.
"""

import json
from itertools import combinations

import pytest

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, SHOOTING, USUAL, until
from tools.templates.names import file_of
from tools.workflows import build as example_workflows

FOLDER = comfy_host.PACK / "example_workflows"
SHORT = 4.0  # seconds of a song that is only there to be loaded again
PLAYED = ("song", "cover", "repaint", "extend", "lego", "text2music")  # by a click on Run
BOTH_WAYS = (
    "song",
    "cover",
    "stems",
    "text2music",
)  # also the other way, which takes a minute for all of them
READY = "() => Array.from(document.querySelectorAll('.acegraph-player audio'), (audio) => audio.readyState)"
NAMES = [page.__name__ for page in example_workflows.PAGES]
CASES = [
    (frontend, style, name)
    for frontend in FRONTENDS
    for style in ("classic", "new")
    for name in NAMES
    if (frontend, style) in USUAL or name in BOTH_WAYS or SHOOTING
]


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def clean(prompt):
    """A prompt without what only the frontend knows of: its own buttons and players."""
    own = {"audioUI", "upload", "preview", "preview_markdown", "preview_text", "previewMode", "preview_mode"}
    return {
        key: (node["class_type"], {name: v for name, v in node["inputs"].items() if name not in own})
        for key, node in prompt.items()
    }


@pytest.mark.parametrize(
    ("frontend", "style", "name"), CASES, indirect=["frontend", "style"], scope="session"
)
def test_a_template_opens_without_a_word_nothing_overlaps_and_each_task_plays(styled, frontend, style, name):
    found = workflow(name)
    styled.open_template(file_of(name), len(found["nodes"]))
    assert (styled.toasts(), styled.dialogs(), styled.errors) == ([], [], [])
    assert set(styled.nodes()) == {node["id"] for node in found["nodes"]}
    assert nothing_overlaps(styled)
    assert not found["groups"] or styled.outside() == []
    made = styled.prompt()
    info = styled.server.object_info().__getitem__
    assert clean(made["output"]) == clean(api_form.prompt_of(found, info))
    boxes = {graph["id"] for graph in found.get("definitions", {}).get("subgraphs", ())}
    for before, after in zip(found["nodes"], made["workflow"]["nodes"], strict=True):
        assert after["type"] == before["type"]
        assert before["type"] in boxes or values_of(after) == values_of(before)
    if name in PLAYED:
        run_makes_a_song_that_the_node_plays(styled, found)
        grows = (frontend, style) == (FRONTENDS[0], "new")  # a Sampler, by its picture, beyond all others
        assert grows or nothing_overlaps(styled)
        assert grows or not found["groups"] or styled.outside() == []


def nothing_overlaps(editor):
    placed = editor.nodes()
    return not [pair for pair in combinations(placed, 2) if placed[pair[0]].overlaps(placed[pair[1]])]


def run_makes_a_song_that_the_node_plays(editor, found):
    """Press Run; every song that is told is in a player that has loaded it."""
    if SHOOTING:
        return
    editor.set("AceGraphSilenceLatent", seconds=SHORT)
    done = editor.run()
    assert done["status"]["status_str"] == "success", done["status"]
    listed = [song for shown in done["outputs"].values() for song in shown.get("audio", ())]
    until(lambda: editor.js(READY) == [4] * len(listed), "every song can be played")  # 4: whole
    assert (editor.toasts(), editor.errors) == ([], [])


def values_of(node):
    """What the widgets hold; frontends differ in how they write that a button holds nothing."""
    found = [None if value == "" else value for value in node.get("widgets_values") or ()]
    while found and found[-1] is None:
        found.pop()
    return found
