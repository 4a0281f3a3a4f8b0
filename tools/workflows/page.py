"""Pages of the editor as data: nodes in columns, columns in coloured groups, groups in two rows.

A box is a subgraph: nodes that are added while it is open become one node of the page.

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
COLLAPSED = (240, 0)  # what a collapsed node takes below its title
WINDOW, SMALL_WINDOW = (1600, 1000), (1366, 768)  # pixels
IN_BOX = 100


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
class Box(Item):
    """Nodes that are shown as one, with the widgets that it shows of them."""

    columns: list[list[Item]] = field(default_factory=lambda: [[]])  # what is seen where it is opened
    promoted: list[tuple[Item, str]] = field(default_factory=list)

    @property
    def inside(self) -> list[Item]:
        return [item for column in self.columns for item in column]


@dataclass
class Form:
    """What a page asks for and shows in app mode: widgets of nodes, in this order, and the nodes whose results are shown."""

    inputs: list[tuple[Item, str]]
    outputs: list[Item]


@dataclass
class Group:
    """A coloured frame around columns of nodes."""

    title: str
    colour: str
    under: str  # title of the group of the upper row below which it begins
    columns: list[list[Item]] = field(default_factory=lambda: [[]])


class Page:
    """A workflow that grows from left to right, with a second row where that is too wide."""

    def __init__(self, name: str, title: str, first: int = 1) -> None:
        """first: id of the first node."""
        self.name, self.title, self._first = name, title, first
        self.items: list[Item] = []
        self.boxes: list[Box] = []
        self.form: Form | None = None
        self.window = WINDOW
        self._open: Box | None = None
        self.upper: list[Group] = []
        self.lower: list[Group] = []

    def group(self, title: str, colour: str, under: str = "") -> None:
        """Begin a group at the right end of the upper row, or under one of it."""
        self._group = Group(title, colour, under)
        (self.lower if under else self.upper).append(self._group)

    def resume(self, title: str) -> None:
        """Go on in a group that was begun earlier."""
        (self._group,) = (group for group in (*self.upper, *self.lower) if group.title == title)

    def column(self) -> None:
        """Begin a column in the box that is open, or in the group."""
        (self._open or self._group).columns.append([])

    def add(self, kind: str, look: Mapping[str, Any] | None = None, **inputs: Any) -> Item:
        """Put a node under the last one; inputs are values of widgets, or wires."""
        wires = {name: value for name, value in inputs.items() if isinstance(value, Wire)}
        values = {name: value for name, value in inputs.items() if not isinstance(value, Wire)}
        item = Item(self._next_id(), kind, values, wires, dict(look or {}))
        self.items.append(item)
        (self._open or self._group).columns[-1].append(item)
        return item

    def _next_id(self) -> int:
        """Nodes of a box count from its own hundred: the newest frontend mixes up promoted widgets of nodes with one id."""
        if self._open:
            return IN_BOX * len(self.boxes) + len(self._open.inside) + 1
        return len(self.items) - sum(len(box.inside) for box in self.boxes) + len(self.boxes) + self._first

    def open(self, title: str, width: int, height: int) -> Box:
        """Begin a box under the last node; nodes go into it until it is closed."""
        box = Box(self._next_id(), "", {}, {}, {"title": title, "width": width, "height": height})
        self.boxes.append(box)
        self._group.columns[-1].append(box)
        self._open = box
        return box

    def close(self, promoted: Sequence[tuple[Item, str]]) -> None:
        """End the box. promoted: the widgets that are shown on it."""
        assert self._open
        self._open.promoted = list(promoted)
        self._open = None

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

    def boxed(self) -> list[dict[str, Any]]:
        """The boxes as the builder in the browser reads them."""
        return [
            {
                "id": box.id,
                "columns": [[item.id for item in column] for column in box.columns],
                "promoted": [[item.id, widget] for item, widget in box.promoted],
                **box.look,
            }
            for box in self.boxes
        ]


def properties(item: Item, version: str) -> dict[str, Any]:
    """What lets others install the pack and the models that a node needs."""
    ours = item.kind.startswith("AceGraph")
    if item.kind == "MarkdownNote":
        return {}
    origin = {"cnr_id": PACK, "ver": version} if ours else {"cnr_id": "comfy-core", "ver": VERSION_OF_CORE}
    models = item.look.get("models")
    return {**origin, **({"models": models} if models else {})}
