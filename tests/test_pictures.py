"""The pictures of the help pages: every one is shown, told in words, and light."""

import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from tools.words import tables as node_words
from tools.words.tables import PAGES, ROOT

DOCS = ROOT / "web/docs"
NODES = sorted(path.name for path in DOCS.iterdir() if path.is_dir())
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
SPECIAL = re.compile(r"[\"<>&]")  # ComfyUI 0.3.75 puts a picture's text into HTML as it stands
HEAVIEST = {".jpg": 45_000, ".svg": 30_000}  # bytes of a picture
HEAVIEST_DOCS = 2_000_000
SHAPES = {"svg", "g", "path", "rect", "circle", "text", "defs", "linearGradient", "stop"}
WIDTHS = range(600, 901)  # pixels of a screenshot


def shown_on(node, language):
    """Text and file of each picture on a page."""
    return PICTURE.findall(node_words.page_of(node, language).read_text(encoding="utf-8"))


def drawings():
    return sorted(DOCS.rglob("*.svg"))


@pytest.mark.parametrize("node", NODES)
def test_each_page_shows_all_pictures_beside_it(node):
    beside = sorted(path.name for path in (DOCS / node).iterdir() if path.suffix != ".md")
    assert "graph.jpg" in beside
    for language in PAGES:
        assert [target for _, target in shown_on(node, language)] == [f"{node}/{name}" for name in beside]


@pytest.mark.parametrize("node", NODES)
def test_each_language_tells_what_the_pictures_show(node):
    texts = {language: [text for text, _ in shown_on(node, language)] for language in PAGES}
    assert len({text for told in texts.values() for text in told}) == sum(map(len, texts.values()))
    assert not [text for told in texts.values() for text in told if SPECIAL.search(text)]
    for language, told in texts.items():
        name = node_words.words_in(language)[node]["display_name"].removesuffix(" (ACE-Step)")
        assert name in told[-1]


def test_they_are_light():
    files = [path for path in DOCS.rglob("*") if path.is_file()]
    assert not [p for p in files if p.suffix != ".md" and p.stat().st_size > HEAVIEST[p.suffix]]
    assert sum(path.stat().st_size for path in files) < HEAVIEST_DOCS


def test_screenshots_are_wide_enough_to_be_read():
    for path in DOCS.rglob("*.jpg"):
        with Image.open(path) as picture:
            assert picture.width in WIDTHS


@pytest.mark.parametrize("path", drawings(), ids=lambda path: path.parent.name)
def test_a_drawing_stands_alone(path):
    """It loads and runs nothing, and brings its own ground for light and dark palettes."""
    drawing = ElementTree.parse(path).getroot()
    (ground, *_) = drawing.iterfind("{*}rect")
    width, height = (float(drawing.get(side)) for side in ("width", "height"))
    assert drawing.get("viewBox") == f"0 0 {width:g} {height:g}"
    assert (float(ground.get("width")), float(ground.get("height"))) == (width - 2, height - 2)
    assert {part.tag.rpartition("}")[2] for part in drawing.iter()} <= SHAPES
