"""Every template in the real editor, with both frontends, nodes drawn and as HTML: opens in silence, tidy and complete."""

import json
from itertools import combinations

import pytest

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS
from tools.templates.names import file_of
from tools.workflows import build as example_workflows

FOLDER = comfy_host.PACK / "example_workflows"
USUAL = ((FRONTENDS[0], "classic"), (FRONTENDS[1], "new"))  # as each frontend draws nodes by itself
BOTH_WAYS = (
    "song",
    "cover",
    "stems",
    "text2music",
)  # also the other way, which takes a minute for all of them
NAMES = [page.__name__ for page in example_workflows.PAGES]
CASES = [
    (frontend, style, name)
    for frontend in FRONTENDS
    for style in ("classic", "new")
    for name in NAMES
    if (frontend, style) in USUAL or name in BOTH_WAYS
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
def test_a_template_opens_without_a_word_and_nothing_overlaps(styled, name):
    found = workflow(name)
    styled.open_template(file_of(name), len(found["nodes"]))
    assert (styled.toasts(), styled.dialogs(), styled.errors) == ([], [], [])
    placed = styled.nodes()
    assert set(placed) == {node["id"] for node in found["nodes"]}
    assert not [pair for pair in combinations(placed, 2) if placed[pair[0]].overlaps(placed[pair[1]])]
    assert not found["groups"] or styled.outside() == []
    made = styled.prompt()
    info = styled.server.object_info().__getitem__
    assert clean(made["output"]) == clean(api_form.prompt_of(found, info))
    boxes = {graph["id"] for graph in found.get("definitions", {}).get("subgraphs", ())}
    for before, after in zip(found["nodes"], made["workflow"]["nodes"], strict=True):
        assert after["type"] == before["type"]
        assert before["type"] in boxes or values_of(after) == values_of(before)


def values_of(node):
    """What the widgets hold; frontends differ in how they write that a button holds nothing."""
    found = [None if value == "" else value for value in node.get("widgets_values") or ()]
    while found and found[-1] is None:
        found.pop()
    return found
