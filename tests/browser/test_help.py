"""Help pages in the real editor: opened by a user, with their pictures, in more than one language."""

import re

import pytest
from PIL import Image

from support.comfyui import host as comfy_host
from support.comfyui.editor import until
from tools.workflows import pictures as help_pictures

DOCS = comfy_host.PACK / "web" / "docs"
NODES = ("AceGraphSampler", "AceGraphChunkMask", "AceGraphPreviewAudio")
SELECT = """(kind) => {
  app.graph.clear();
  const node = LiteGraph.createNode(kind);
  app.graph.add(node);
  node.pos = [400, 300];
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [0, 0];
  app.canvas.selectNode(node);
}"""
PICTURES = """() => Array.from(document.querySelectorAll(".node-help-content img"), (image) => image)
  .filter((image) => image.complete && image.naturalWidth && image.getBoundingClientRect().width)
  .map((image) => [image.alt, image.src.split("/docs/").pop()])"""


def all_shown(editor, node, language):
    """Whether the page of this language is open and its pictures are loaded."""
    own = DOCS / node / f"{language}.md"
    page = (own if own.is_file() else DOCS / f"{node}.md").read_text(encoding="utf-8")
    wanted = re.findall(r"!\[(.*)\]\((.*)\)", page)
    return [tuple(found) for found in editor.js(PICTURES)] == wanted


@pytest.mark.parametrize("language", ["en", "ja", "fr"])
def test_a_help_page_opens_with_its_pictures(styled, language):
    styled.js(SELECT, NODES[0])
    with styled.speaking(language):
        for node in NODES:
            styled.js(SELECT, node)
            styled.page.get_by_test_id("info-button").first.click()
            until(
                lambda node=node: all_shown(styled, node, language),
                f"the page of {node} has its pictures",
            )
    assert styled.errors == []


def test_a_picture_shows_its_node_as_the_workflow_has_it():
    """When a node has grown, `python -m tools.workflows.pictures` draws it anew."""
    assert set(help_pictures.WHERE) == {path.name for path in DOCS.iterdir() if path.is_dir()}
    for kind, name in help_pictures.WHERE.items():
        if name in help_pictures.MADE:
            continue
        found = help_pictures.read(name)
        part = help_pictures.excerpt(help_pictures.shown(kind, found), found)
        with Image.open(DOCS / kind / help_pictures.PICTURE) as picture:
            assert picture.size == (part.width, part.height), kind
