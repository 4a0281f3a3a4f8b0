"""Where the nodes and groups of a page go, and how it is looked at first."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.workflows.page import COLLAPSED, TITLE, WINDOW, Group, Item, Page, Rect

GROUP_TITLE, PADDING, BOTTOM = 40, 20, 44
BETWEEN_COLLAPSED, BETWEEN_NODES = 32, 56  # new-style nodes are taller than their size says
BETWEEN_COLUMNS, BETWEEN_GROUPS, BETWEEN_ROWS = 60, 40, 40
MENUS = (80, 150)  # pixels that the editor's bars cover at the left and the top
MARGIN = 30
STRETCH = 1.2  # of a page by the older frontend, where nodes are HTML: it keeps the scale
LEGIBLE = 0.575  # scale below which it draws no text
READABLE = 11 / 12  # scale at which the smallest text of a node is 11 pixels high
BADGE = 24  # pixels above a node, where its pack is named


def places(
    page: Page, sizes: Mapping[int, Sequence[float]]
) -> tuple[dict[int, tuple[float, float]], list[dict]]:
    """Where nodes (below their titles) and groups go."""
    found: dict[int, tuple[float, float]] = {}
    frames: dict[str, Rect] = {}
    left = 0.0
    for group in page.upper:
        frames[group.title] = Rect(left, 0, *inner_size(group, sizes))
        left += frames[group.title].width + BETWEEN_GROUPS
    left = 0.0
    for group in page.lower:
        width, height = inner_size(group, sizes)
        left = max(left, frames[group.under].x)
        below = (frames[above.title] for above in page.upper if overlap(frames[above.title], left, width))
        top = max(frame.y + frame.height for frame in below) + BETWEEN_ROWS
        frames[group.title] = Rect(left, top, width, height)
        left += width + BETWEEN_GROUPS
    every = (*page.upper, *page.lower)
    for group in every:
        fill(group, frames[group.title], sizes, found)
    drawn = (group for group in every if group.title)
    return found, [{"title": g.title, "color": g.colour, "bounding": list(frames[g.title])} for g in drawn]


def overlap(frame: Rect, left: float, width: float) -> bool:
    """Whether a frame stands above a place of this width, or close to it."""
    return frame.x < left + width + BETWEEN_GROUPS and left < frame.x + frame.width


def inner_size(group: Group, sizes: Mapping[int, Sequence[float]]) -> tuple[float, float]:
    """Width and height of a group's frame."""
    widths = [max(taken(item, sizes)[0] for item in column) for column in group.columns]
    heights = [
        gap_above(column)
        + sum(TITLE + taken(item, sizes)[1] + gap_below(item) for item in column)
        - gap_below(column[-1])
        for column in group.columns
    ]
    return (
        sum(widths) + BETWEEN_COLUMNS * (len(widths) - 1) + 2 * PADDING,
        max(heights) + GROUP_TITLE + BOTTOM,
    )


def fill(
    group: Group,
    frame: Rect,
    sizes: Mapping[int, Sequence[float]],
    found: dict[int, tuple[float, float]],
) -> None:
    """Put the nodes of a group into its frame."""
    x = frame.x + PADDING
    for column in group.columns:
        y = frame.y + GROUP_TITLE + gap_above(column)
        for item in column:
            found[item.id] = (x, y + TITLE)
            y += TITLE + taken(item, sizes)[1] + gap_below(item)
        x += max(taken(item, sizes)[0] for item in column) + BETWEEN_COLUMNS


def taken(item: Item, sizes: Mapping[int, Sequence[float]]) -> Sequence[float]:
    """Width and height below the title."""
    return COLLAPSED if item.look.get("collapsed") else sizes[item.id]


def gap_above(column: Sequence[Item]) -> float:
    """Room for the badge of a collapsed node below its group's title; others wear it on their own."""
    return BADGE if column[0].look.get("collapsed") else 0


def gap_below(item: Item) -> float:
    """The distance to the next node of the column."""
    return BETWEEN_COLLAPSED if item.look.get("collapsed") else BETWEEN_NODES


def view_of(
    groups: Sequence[Mapping[str, Any]],
    window: tuple[int, int] = WINDOW,
    right: float = 0,
    bottom: float = 0,
) -> dict[str, Any]:
    """Scale and offset with which the whole page is seen, with room for a stretched one if text stays legible.

    right, bottom: how far its nodes reach; groups may reach farther.
    """
    frames = [Rect(*group["bounding"]) for group in groups]
    width = max([right, *(frame.x + frame.width for frame in frames)])
    height = max([bottom, *(frame.y + frame.height for frame in frames)])
    room = [whole - menu - MARGIN for whole, menu in zip(window, MENUS, strict=True)]
    fits = min(1.0, room[0] / width, room[1] / height)
    scale = round(min(fits, max(fits / STRETCH, LEGIBLE if window == WINDOW else READABLE)), 3)
    return {"scale": scale, "offset": [round(menu / scale) for menu in MENUS]}


def extra_of(page: Page, groups: Sequence[Mapping[str, Any]], right: float, bottom: float) -> dict[str, Any]:
    """The first view, and the form. right, bottom: how far the page reaches."""
    view = {"ds": view_of(groups, page.window, right, bottom)}
    if not page.form:
        return view
    tall = {"caption": 80, "lyrics": 220, "wish": 100}  # pixels
    inputs = [
        [item.id, widget, *([{"height": tall[widget]}] if widget in tall else [])]
        for item, widget in page.form.inputs
    ]
    outputs = [item.id for item in page.form.outputs]
    return {**view, "linearMode": True, "linearData": {"inputs": inputs, "outputs": outputs}}
