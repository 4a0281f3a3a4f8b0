"""How templates look before anything runs: size of their text, order of their wires, names, pictures and forms."""

import json
import math
from itertools import combinations, pairwise

import pytest
from PIL import Image

from tools.templates import thumbnails
from tools.templates.names import TITLES, file_of
from tools.workflows import build as example_workflows
from tools.workflows.page import COLLAPSED, SMALL_WINDOW, TITLE, WINDOW, Rect

FOLDER = example_workflows.FOLDER
PAGES = {page.__name__: page for page in example_workflows.PAGES}
SHOWN_OUTSIDE = {"LoadAudio", "AceGraphRegion"}  # of boxes, with widgets that a form asks for
NODE_BY_NODE = {"text2music"}  # whose idea is that every node and all of its widgets are in sight
SMALL = [name for name in PAGES if name not in NODE_BY_NODE]
FORMS = (
    *("song", "song_chinese", "instrumental", "inspire", "cover", "repaint", "extend", "stems"),
    *("lego", "complete", "reference_timbre", "understand", "edit_words", "edit_style", "lora"),
)
BARS = 79, 149  # pixels that the editor's bars cover at the left and the top
WIDGET_TEXT, SMALLEST = 12, 11  # pixels of a widget's text at scale 1, and at least on the screen
LEGIBLE = 8 / 14  # scale below which the older frontend draws no text
MOST_NODES = 12
SLOT = 20  # pixels
LARGEST_PICTURE = 30_000  # bytes


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


def rect_of(node):
    (x, y), size = node["pos"], COLLAPSED if node["flags"].get("collapsed") else node["size"]
    return Rect(x, y - TITLE, size[0], size[1] + TITLE)


def curve(found, link):
    """Points of a wire, as the editor draws it."""
    _, start, output, stop, place, _ = link
    nodes = {node["id"]: node for node in found["nodes"]}
    wired = [slot for slot in nodes[stop]["inputs"] if not slot.get("widget")]
    slot = nodes[stop]["inputs"][place]
    shown = wired.index(slot) if slot in wired else len(wired) + 1  # beside its widget
    (x, y), (right, bottom) = nodes[start]["pos"], nodes[stop]["pos"]
    x, y, bottom = x + nodes[start]["size"][0], y + SLOT * (output + 0.7), bottom + SLOT * (shown + 0.7)
    reach = math.hypot(right - x, bottom - y) / 4
    at = [place / 24 for place in range(25)]
    return [
        (
            (1 - t) ** 3 * x
            + 3 * (1 - t) ** 2 * t * (x + reach)
            + 3 * (1 - t) * t**2 * (right - reach)
            + t**3 * right,
            ((1 - t) ** 3 + 3 * (1 - t) ** 2 * t) * y + (3 * (1 - t) * t**2 + t**3) * bottom,
        )
        for t in at
    ]


def cross(first, second):
    """Whether two wires that have no end in common cross."""
    sides = [(one, other) for one in pairwise(first) for other in pairwise(second)]
    return any(
        turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0 for (a, b), (c, d) in sides
    )


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


# ------------------------------------------------------------------------------------------------------- the measured law
def test_all_pages_but_one_are_for_a_small_screen():
    assert {name for name, make in PAGES.items() if make().window != SMALL_WINDOW} == NODE_BY_NODE


@pytest.mark.parametrize("name", SMALL)
def test_text_is_eleven_pixels_high_on_a_small_screen_that_shows_all(name):
    found = workflow(name)
    view = found["extra"]["ds"]
    assert view["scale"] * WIDGET_TEXT >= SMALLEST
    for node in found["nodes"]:
        rect = rect_of(node)
        x, y = (view["scale"] * (at + shift) for at, shift in zip(rect[:2], view["offset"], strict=True))
        assert BARS[0] <= x <= x + view["scale"] * rect.width <= SMALL_WINDOW[0], node["title"]
        assert BARS[1] <= y <= y + view["scale"] * rect.height <= SMALL_WINDOW[1], node["title"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_one_idea(name):
    found = workflow(name)
    working = [node for node in found["nodes"] if node["type"] != "MarkdownNote"]
    assert len(working) <= MOST_NODES
    assert not [group for group in found["groups"] if group["title"].startswith("Off")]


@pytest.mark.parametrize("name", SMALL)
def test_wires_go_to_the_right_and_behind_no_node_and_hardly_cross(name):
    found = workflow(name)
    rects = {node["id"]: rect_of(node) for node in found["nodes"]}
    wires = [(link, curve(found, link)) for link in found["links"]]
    backwards = [link for link, _ in wires if rects[link[1]].x + rects[link[1]].width > rects[link[3]].x]
    behind = [
        (link, key)
        for link, points in wires
        for key, rect in rects.items()
        if key not in (link[1], link[3]) and any(rect.overlaps(Rect(x, y, 1, 1)) for x, y in points)
    ]
    crossings = sum(
        cross(one, other)
        for (first, one), (second, other) in combinations(wires, 2)
        if not {first[1], first[3]} & {second[1], second[3]}
    )
    assert len(backwards) <= (3 if name == "codes" else 0), backwards  # from above to below in one column
    assert behind == []
    assert crossings <= len(wires) / 4


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_and_a_frame_holds_whole_nodes(name):
    found = workflow(name)
    groups = [Rect(*group["bounding"]) for group in found["groups"]]
    nodes = {node["id"]: rect_of(node) for node in found["nodes"]}
    assert not [pair for pair in combinations(groups, 2) if pair[0].overlaps(pair[1])]
    assert not [pair for pair in combinations(nodes, 2) if nodes[pair[0]].overlaps(nodes[pair[1]])]
    for node, rect in nodes.items():
        assert not groups or [group.holds(rect) for group in groups].count(True) == 1, node


@pytest.mark.parametrize("name", sorted(NODE_BY_NODE))
def test_the_first_view_of_a_large_page_shows_it_whole_and_its_words(name):
    view, groups = workflow(name)["extra"]["ds"], workflow(name)["groups"]
    assert view["scale"] > LEGIBLE
    for group in groups:
        frame = Rect(*group["bounding"])
        x, y = (view["scale"] * (at + shift) for at, shift in zip(frame[:2], view["offset"], strict=True))
        assert BARS[0] <= x <= x + view["scale"] * frame.width <= WINDOW[0]
        assert BARS[1] <= y <= y + view["scale"] * frame.height <= WINDOW[1]


# ------------------------------------------------------------------------------------------------------- boxes
BLUEPRINTS = sorted(FOLDER.parent.glob("subgraphs/*.json"))
FILES = [*sorted(FOLDER.glob("*.json")), *BLUEPRINTS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_box_gives_sound_first_and_calls_nothing_by_its_type(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    kinds = {graph["id"] for graph in found.get("definitions", {}).get("subgraphs", ())}
    for box in (node for node in found["nodes"] if node["type"] in kinds):
        types = [output["type"] for output in box["outputs"]]
        assert types == sorted(types, key=lambda kind: kind != "AUDIO")
        assert "STRING" not in [output["name"] for output in box["outputs"]]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_runs_alone(path):
    (graph,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    assert "AceGraphPreviewAudio" in [node["type"] for node in graph["nodes"]]


def test_seed_and_length_of_retakes_are_set_once():
    (graph,) = workflow("retake")["definitions"]["subgraphs"]
    kinds = {node["id"]: node["type"] for node in graph["nodes"]}
    names = {node["id"]: [slot["name"] for slot in node["inputs"]] for node in graph["nodes"]}
    ends = [
        (kinds[link["origin_id"]], kinds[link["target_id"]], names[link["target_id"]][link["target_slot"]])
        for link in graph["links"]
        if link["origin_id"] in kinds and link["target_id"] in kinds
    ]
    seeded = [target for origin, target, name in ends if (origin, name) == ("PrimitiveInt", "seed")]
    assert sorted(seeded) == ["AceGraphRetake", "AceGraphSampler", "AceGraphSampler"]
    assert (
        list(kinds.values()).count("PrimitiveInt") == list(kinds.values()).count("AceGraphSilenceLatent") == 1
    )


# ------------------------------------------------------------------------------------------------------- list, forms
def test_names_are_read_by_people_and_sort_as_they_are_meant():
    assert list(TITLES) == [name for name in TITLES if name in PAGES]
    files = [file_of(name) for name in TITLES]
    assert sorted(files) == files
    assert all(name.isascii() and "_" not in name and name[3].isupper() for name in files)
    assert file_of("karaoke_to_be") == "90 Karaoke to be"


@pytest.mark.parametrize("name", PAGES)
def test_the_thumbnail_is_the_drawing_of_its_task(name):
    path = FOLDER / f"{file_of(name)}.jpg"
    assert path.stat().st_size < LARGEST_PICTURE
    with Image.open(path) as picture:
        assert picture.size == (thumbnails.WIDTH, thumbnails.HEIGHT) == (400, 225)
        shown = picture.convert("RGB").resize((40, 22))
    drawn = thumbnails.drawn(name).resize((40, 22))
    assert max(abs(a - b) for a, b in zip(shown.tobytes(), drawn.tobytes(), strict=True)) < 24


def test_thumbnails_tell_tasks_apart():
    small = {name: thumbnails.drawn(name).resize((40, 22)).tobytes() for name in TITLES}
    for one, other in combinations(small, 2):
        differs = sum(abs(a - b) for a, b in zip(small[one], small[other], strict=True)) / len(small[one])
        assert differs > 4, (one, other)


def test_a_page_that_nobody_has_drawn_has_a_picture_too():
    assert thumbnails.drawn("karaoke").size == (400, 225)


def test_every_template_with_an_obvious_form_has_one():
    assert {name for name in PAGES if "linearData" in workflow(name)["extra"]} == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_asks_for_widgets_that_are_shown_and_plays_what_is_saved(name):
    found = workflow(name)
    extra = found["extra"]
    assert extra["linearMode"] is True
    inside = {node["id"]: node for graph in found["definitions"]["subgraphs"] for node in graph["nodes"]}
    root = {node["id"]: node for node in found["nodes"]}
    promoted = [
        [int(key), widget]
        for node in root.values()
        for key, widget in node["properties"].get("proxyWidgets", ())
    ]
    asked = [entry[:2] for entry in extra["linearData"]["inputs"]]
    assert asked
    for node, widget in asked:
        assert [node, widget] in promoted if node in inside else root[node]["type"] in SHOWN_OUTSIDE
    assert not set(root) & set(inside)
    kinds = [root[key]["type"] for key in extra["linearData"]["outputs"]]
    assert set(kinds) <= {"AceGraphSaveAudio", "AceGraphPreviewAudio", "PreviewAny"}
    assert kinds
