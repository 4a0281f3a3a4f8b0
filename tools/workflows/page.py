"""Pages of the editor as data: nodes in columns, columns in coloured groups, groups in two rows.

page = Page("text2music", "Text to music")
page.group("1. Model", BLUE)
load = page.add("AceGraphLoad", **TURBO)
page.column()
decode = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=...)

Sizes come from the frontend (tests/support/comfyui/builder.js); `places` then says where everything goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PACK, VERSION_OF_CORE = "acestep-graph", "0.3.75"
BLUE, GREEN, GOLD, VIOLET, RED, GREY = "#3f789e", "#5d8a5a", "#a1862f", "#7a68a6", "#a1574f", "#8a8a8a"
NOTE_COLOURS = {"color": "#432", "bgcolor": "#653"}
TITLE = 30  # pixels above a node's own rectangle
GROUP_TITLE, PADDING, BOTTOM = 40, 20, 44
BETWEEN_COLLAPSED, BETWEEN_NODES = 32, 56  # new-style nodes are taller than their size says
BETWEEN_COLUMNS, BETWEEN_GROUPS, BETWEEN_ROWS = 60, 40, 40
COLLAPSED = (240, 0)  # what a collapsed node takes below its title
WINDOW, MENUS = (
    (1600, 1000),
    (80, 150),
)  # pixels; of these the editor's bars cover so many at the left and the top
MARGIN = 30
STRETCH = 1.2  # of a page by the older frontend, where nodes are HTML: it keeps the scale
LEGIBLE = 0.575  # scale below which it draws no text
BADGE = 24  # pixels above a node, where its pack is named


class Wire(NamedTuple):
    """An output of a node on the page."""

    node: int
    output: str


class Rect(NamedTuple):
    """Left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Rect") -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def holds(self, other: "Rect") -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


@dataclass
class Item:
    """A node to be made."""

    id: int
    kind: str
    values: dict[str, Any]
    wires: dict[str, Wire]
    look: dict[str, Any]  # title, width, height, collapsed, off, colours, models

    def __getitem__(self, output: str) -> Wire:
        return Wire(self.id, output)


@dataclass
class Group:
    """A coloured frame around columns of nodes."""

    title: str
    colour: str
    off: bool
    under: str  # title of the group of the upper row below which it begins
    columns: list[list[Item]] = field(default_factory=lambda: [[]])


class Page:
    """A workflow that grows from left to right, with a second row where that is too wide."""

    def __init__(self, name: str, title: str, first: int = 1) -> None:
        """first: id of the first node."""
        self.name, self.title, self._first = name, title, first
        self.items: list[Item] = []
        self.upper: list[Group] = []
        self.lower: list[Group] = []

    def group(self, title: str, colour: str, under: str = "", off: bool = False) -> None:
        """Begin a group at the right end of the upper row, or under one of it; the nodes of one that is off are bypassed."""
        self._group = Group(title, colour, off, under)
        (self.lower if under else self.upper).append(self._group)

    def resume(self, title: str) -> None:
        """Go on in a group that was begun earlier."""
        (self._group,) = (group for group in (*self.upper, *self.lower) if group.title == title)

    def column(self) -> None:
        """Begin a column in the group."""
        self._group.columns.append([])

    def add(self, kind: str, look: Mapping[str, Any] | None = None, **inputs: Any) -> Item:
        """Put a node under the last one; inputs are values of widgets, or wires."""
        wires = {name: value for name, value in inputs.items() if isinstance(value, Wire)}
        values = {name: value for name, value in inputs.items() if not isinstance(value, Wire)}
        item = Item(
            len(self.items) + self._first, kind, values, wires, {"off": self._group.off, **(look or {})}
        )
        self.items.append(item)
        self._group.columns[-1].append(item)
        return item

    def note(self, title: str, text: str, width: int = 400, height: int = 0) -> Item:
        """A note with headings, lists and links."""
        look = {"title": title, "width": width, "height": height, **NOTE_COLOURS}
        return self.add("MarkdownNote", look, text=text)

    def specification(self, version: str) -> list[dict[str, Any]]:
        """The nodes as the builder in the browser reads them."""
        return [
            {
                "id": item.id,
                "kind": item.kind,
                "values": item.values,
                "wires": [[name, wire.node, wire.output] for name, wire in item.wires.items()],
                "properties": properties(item, version),
                **item.look,
            }
            for item in self.items
        ]


def properties(item: Item, version: str) -> dict[str, Any]:
    """What lets others install the pack and the models that a node needs."""
    ours = item.kind.startswith("AceGraph")
    if item.kind == "MarkdownNote":
        return {}
    origin = {"cnr_id": PACK, "ver": version} if ours else {"cnr_id": "comfy-core", "ver": VERSION_OF_CORE}
    models = item.look.get("models")
    return {**origin, **({"models": models} if models else {})}


# ---------------------------------------------------------------------------------------------------- layout
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
    return found, [{"title": g.title, "color": g.colour, "bounding": list(frames[g.title])} for g in every]


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


def view_of(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scale and offset with which the whole page is seen, with room for a stretched one if text stays legible."""
    frames = [Rect(*group["bounding"]) for group in groups]
    width = max(frame.x + frame.width for frame in frames)
    height = max(frame.y + frame.height for frame in frames)
    room = [whole - menu - MARGIN for whole, menu in zip(WINDOW, MENUS, strict=True)]
    fits = min(1.0, room[0] / width, room[1] / height)
    scale = round(min(fits, max(fits / STRETCH, LEGIBLE)), 3)
    return {"scale": scale, "offset": [round(menu / scale) for menu in MENUS]}
