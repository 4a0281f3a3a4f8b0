"""A workflow as the editor saves it becomes the prompt that its Run would send: subgraphs taken apart, what is bypassed left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from acestep_core.errors import InvalidInputError

from .graphs import Graph, Place, Prompt, Widget, labels_of
from .widgets import Info, aligned, fits

NOTES = ("Note", "MarkdownNote")
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"
MUTED, BYPASSED = 2, 4  # values of a node's mode
INPUT_NODE, OUTPUT_NODE = -10, -20  # ids of a subgraph's edges
DEEPEST = 16

Json = Mapping[str, Any]


class Origin(NamedTuple):
    """Where a wire starts: an output of a node, or a value that is typed in."""

    node: str
    slot: int
    value: Any = None
    is_value: bool = False


@dataclass
class Level:
    """The top of a workflow, or the inside of one subgraph on it."""

    nodes: dict[int, Json]
    links: dict[int, tuple[int, int]]  # id -> node and slot where it starts
    outputs: dict[int, int]  # of a subgraph: slot -> link that ends there
    prefix: str  # of ids
    place: Place | None  # of the nodes in the file; None where two subgraphs share it
    parent: "Level | None" = None
    holder: Json = field(default_factory=dict)  # the node that stands for this level in its parent
    inner: "dict[int, Level]" = field(default_factory=dict)


class Flattener:
    """Takes one workflow apart. `info` looks a node up as /object_info shows it."""

    def __init__(self, workflow: Json, info: Callable[[str], Info]) -> None:
        self._info = info
        found = (workflow.get("definitions") or {}).get("subgraphs") or []
        self._subgraphs = {entry["id"]: (number, entry) for number, entry in enumerate(found)}
        self._used: dict[str, int] = {}
        for nodes in (workflow["nodes"], *(entry["nodes"] for entry in found)):
            for node in nodes:
                self._used[node["type"]] = self._used.get(node["type"], 0) + 1
        self._top = self._level(workflow, "", ("nodes",), None, {})
        self._workflow = dict(workflow)

    def graph(self) -> Graph:
        """The prompt and its widgets."""
        prompt: Prompt = {}
        widgets: list[Widget] = []
        for level, node in self._running(self._top):
            key = level.prefix + str(node["id"])
            info = self._info(node["type"])
            values, found = self._values(level, node, info)
            wired = self._wired(level, node)
            prompt[key] = {"class_type": node["type"], "inputs": {**values, **wired}}
            widgets += [widget for widget in found if widget.name not in wired]
        return Graph(prompt, tuple(widgets), self._workflow)

    def _level(
        self, content: Json, prefix: str, place: Place | None, parent: Level | None, holder: Json
    ) -> Level:
        depth = prefix.count(":")
        if depth > DEEPEST:
            raise InvalidInputError(
                "A subgraph lies within itself.", "Take it out of itself, and save again."
            )
        ends = [link_of(link) for link in content.get("links") or ()]
        links = {key: (node, slot) for key, node, slot, _, _ in ends}
        outputs = {slot: key for key, _, _, target, slot in ends if target == OUTPUT_NODE}
        nodes = {node["id"]: node for node in content["nodes"] if node["type"] not in NOTES}
        level = Level(nodes, links, outputs, prefix, place, parent, holder)
        order = {node["id"]: number for number, node in enumerate(content["nodes"])}
        for key, node in nodes.items():
            nodes[key] = {**node, "place": None if place is None else (*place, order[key])}
            if node["type"] in self._subgraphs:
                number, entry = self._subgraphs[node["type"]]
                alone = self._used[node["type"]] == 1 and place is not None
                where: Place | None = ("definitions", "subgraphs", number, "nodes") if alone else None
                level.inner[key] = self._level(entry, f"{prefix}{key}:", where, level, nodes[key])
        return level

    def _running(self, level: Level) -> Iterator[tuple[Level, Json]]:
        for key, node in level.nodes.items():
            if node.get("mode", 0) in (MUTED, BYPASSED) or node["type"] in (REROUTE, PRIMITIVE):
                continue
            if key in level.inner:
                yield from self._running(level.inner[key])
            else:
                yield level, node

    def _values(self, level: Level, node: Json, info: Info) -> tuple[dict[str, Any], list[Widget]]:
        """Every widget's value by name, and the widgets."""
        values: dict[str, Any] = {}
        widgets: list[Widget] = []
        for spec, value, where in aligned(info, node.get("widgets_values") or ()):
            if not fits(spec, value):
                raise InvalidInputError(
                    f"{title_of(node, info)} has {value!r} where {spec.name} is.",
                    "Its node may have changed since: open the workflow in this ComfyUI, look at the node, and save.",
                )
            values[spec.name] = value
            place = (
                None if where is None or node["place"] is None else (*node["place"], "widgets_values", where)
            )
            key = level.prefix + str(node["id"])
            labels = labels_of(
                [title_of(node, info), *promoted(level, node["id"], spec.name), node["type"], key], spec.name
            )
            limits = (spec.options, spec.low, spec.high, spec.is_seed)
            widgets.append(Widget(key, spec.name, labels, spec.kind, value, *limits, place))
        return values, widgets

    def _wired(self, level: Level, node: Json) -> dict[str, Any]:
        """What is wired in, by name; a wire that starts nowhere is left out."""
        found: dict[str, Any] = {}
        for slot in node.get("inputs") or ():
            origin = self._origin(level, slot.get("link"))
            if origin is not None:
                found[slot["name"]] = origin.value if origin.is_value else [origin.node, origin.slot]
        return found

    def _origin(self, level: Level, link: int | None) -> Origin | None:
        """Where a wire starts, seen through reroutes, bypassed nodes and the edges of subgraphs."""
        if link is None or link not in level.links:
            return None
        key, slot = level.links[link]
        if key == INPUT_NODE:
            return self._outside(level, slot)
        node = level.nodes[key]
        mode = node.get("mode", 0)
        if mode == MUTED:
            return None
        if node["type"] == PRIMITIVE:
            return Origin("", 0, (node.get("widgets_values") or [None])[0], is_value=True)
        if mode == BYPASSED or node["type"] == REROUTE:
            return self._origin(level, passed_on(node, slot))
        if key in level.inner:
            inner = level.inner[key]
            return self._origin(inner, inner.outputs.get(slot))
        return Origin(level.prefix + str(key), slot)

    def _outside(self, level: Level, slot: int) -> Origin | None:
        """What reaches an input of a subgraph: a wire, or the value of the widget that stands for it outside."""
        if level.parent is None:
            return None
        _, entry = self._subgraphs[level.holder["type"]]
        name = entry["inputs"][slot]["name"]
        inputs = level.holder.get("inputs") or ()
        found = next((one for one in inputs if one["name"] == name), None)
        if found is None or found.get("link") is None:
            return None  # the widget inside keeps its own value
        return self._origin(level.parent, found["link"])


def link_of(link: Any) -> tuple[int, int, int, int, int]:
    """Id, origin and target of a wire, which are lists at the top and objects in subgraphs."""
    if isinstance(link, Mapping):
        return tuple(link[name] for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot"))  # type: ignore[return-value]
    return tuple(link[:5])  # type: ignore[return-value]


def passed_on(node: Json, slot: int) -> int | None:
    """The wire that a bypassed node hands on: of its input in the same place, else the first of the output's type."""
    inputs = node.get("inputs") or []
    if node["type"] == REROUTE:
        return inputs[0].get("link") if inputs else None
    kind = node["outputs"][slot]["type"]
    same = [place for place, entry in enumerate(inputs) if entry["type"] == kind]
    return inputs[slot if slot in same else same[0]].get("link") if same else None


def title_of(node: Json, info: Info) -> str:
    """What stands above a node."""
    return node.get("title") or info.get("display_name") or node["type"]


def promoted(level: Level, inside: int, name: str) -> Iterator[str]:
    """The titles and ids of the subgraphs on which a widget of a node inside is shown."""
    while level.parent is not None:
        shown = (level.holder.get("properties") or {}).get("proxyWidgets") or ()
        if [str(inside), name] not in [[str(one) for one in entry[:2]] for entry in shown]:
            return
        yield from filter(None, (level.holder.get("title"), level.prefix.rstrip(":")))
        inside, level = level.holder["id"], level.parent


def editor_graph(workflow: Json, info: Callable[[str], Info]) -> Graph:
    """The graph of a workflow that the editor saved."""
    try:
        graph = Flattener(workflow, info).graph()
    except (KeyError, IndexError, TypeError, AttributeError) as fault:
        raise InvalidInputError(
            f"The workflow has an unknown form ({type(fault).__name__}: {fault}).",
            "Export it with File, Export (API), and give that file.",
        ) from fault
    if not graph.prompt:
        raise InvalidInputError(
            "Every node of the workflow is muted or bypassed.", "Save it with nodes that run."
        )
    return graph


def types_of(workflow: Json) -> set[str]:
    """The kinds of nodes whose schemas are needed."""
    found = (workflow.get("definitions") or {}).get("subgraphs") or []
    nodes = [*workflow["nodes"], *(node for entry in found for node in entry["nodes"])]
    own = {entry["id"] for entry in found} | {*NOTES, REROUTE, PRIMITIVE}
    return {node["type"] for node in nodes if node.get("mode", 0) not in (MUTED, BYPASSED)} - own
