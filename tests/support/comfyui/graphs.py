"""Writes graphs in ComfyUI's API format, with the defaults filled in as the frontend would.

graph = Graph(info)
load = graph.add("AceGraphLoad", model="acestep-v15-turbo")
decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=...)
graph.prompt        {"1": {"class_type": "AceGraphLoad", "inputs": {...}}, ...}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Info = Mapping[str, Any]  # one entry of /object_info
Prompt = dict[str, dict[str, Any]]
EMPTY = {
    "STRING": "",
    "INT": 0,
    "FLOAT": 0.0,
    "BOOLEAN": False,
}  # what a widget without a default starts with


@dataclass(frozen=True)
class Node:
    """A node of a graph; node["latent"] or node[0] is a link to an output of it."""

    id: str
    outputs: tuple[str, ...]

    def __getitem__(self, output: int | str) -> list[Any]:
        return [self.id, output if isinstance(output, int) else self.outputs.index(output)]


class Graph:
    """A prompt that grows node by node."""

    def __init__(self, info: Callable[[str], Info]) -> None:
        self.prompt: Prompt = {}
        self._info = info

    def add(self, class_type: str, **inputs: Any) -> Node:
        """Put a node in; inputs are values or links, every other widget gets its default."""
        info = self._info(class_type)
        known = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        if unknown := set(inputs) - set(known):
            raise KeyError(f"{class_type} has no inputs {sorted(unknown)}; it has {list(known)}")
        defaults = {
            name: default for name, spec in known.items() if (default := default_of(spec)) is not None
        }
        node = Node(str(len(self.prompt) + 1), tuple(info["output_name"]))
        self.prompt[node.id] = {"class_type": class_type, "inputs": {**defaults, **inputs}}
        return node

    def change(self, node: Node, **inputs: Any) -> None:
        """Give a node other inputs; one that is None is taken out."""
        changed = {**self.prompt[node.id]["inputs"], **inputs}
        self.prompt[node.id]["inputs"] = {name: value for name, value in changed.items() if value is not None}


def default_of(spec: Any) -> Any:
    """The value that a widget starts with; None for a socket."""
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if options.get("forceInput"):
        return None
    if isinstance(kind, list | tuple):  # how nodes before V3 write a combo
        return options.get("default", next(iter(kind), None))
    if kind == "COMBO":
        return options.get("default", next(iter(options.get("options") or ()), None))
    return options.get("default", EMPTY[kind]) if kind in EMPTY else None
