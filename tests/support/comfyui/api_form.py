"""A workflow file of the editor as the prompt that the server runs: what the frontend's Run does, without a browser.

Knows what our example workflows use: nodes, links, bypassed and muted nodes, notes, subgraphs. Reroutes are refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from support.comfyui.graphs import EMPTY, Info, Prompt

NOTES = {"Note", "MarkdownNote"}
MUTED, BYPASSED = 2, 4  # values of a node's mode
FROM_OUTSIDE, TO_OUTSIDE = -10, -20  # ids that links of a subgraph have at its edges
Link = list[Any]  # [id of the node, slot]


class Scope:
    """The nodes of a workflow or of a subgraph in it, with those of the subgraphs inside."""

    def __init__(
        self,
        graph: Mapping[str, Any],
        definitions: Mapping[str, Any],
        above: "Scope | None" = None,
        host: Mapping[str, Any] | None = None,
    ) -> None:
        """above, host: where the subgraph is a node, and that node."""
        self.above, self.host = above, host
        self.prefix = f"{above.prefix}{host['id']}:" if above and host else ""
        self.nodes = {node["id"]: node for node in graph["nodes"] if node["type"] not in NOTES}
        links = [tuple(link.values()) if isinstance(link, dict) else link for link in graph["links"]]
        self.origins = {link[0]: (link[1], link[2]) for link in links}
        self.outputs = {link[4]: link[0] for link in links if link[3] == TO_OUTSIDE}
        self.inside = {
            key: Scope(definitions[node["type"]], definitions, self, node)
            for key, node in self.nodes.items()
            if node["type"] in definitions
        }

    def running(self) -> Iterator[tuple["Scope", Mapping[str, Any]]]:
        """Every node that is neither muted nor bypassed."""
        for key, node in self.nodes.items():
            if node["mode"] in (MUTED, BYPASSED):
                continue
            if key in self.inside:
                yield from self.inside[key].running()
            else:
                yield self, node


def prompt_of(workflow: Mapping[str, Any], info: Callable[[str], Info]) -> Prompt:
    """The prompt; `info` looks a node up as /object_info shows it."""
    subgraphs = workflow.get("definitions", {}).get("subgraphs", ())
    whole = Scope(workflow, {graph["id"]: graph for graph in subgraphs})
    return {
        f"{scope.prefix}{node['id']}": {
            "class_type": node["type"],
            "inputs": {
                **widget_values(info(node["type"]), node.get("widgets_values") or ()),
                **linked(node, scope),
            },
        }
        for scope, node in whole.running()
    }


def widgets_of(info: Info) -> list[tuple[str, bool]]:
    """Names of the widgets in the order of `widgets_values`, and whether a value of the frontend's own follows."""
    specs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    found = []
    for name, spec in specs.items():
        kind, options = spec[0], spec[1] if len(spec) > 1 else {}
        if (isinstance(kind, list) or kind in {"COMBO", *EMPTY}) and not options.get("forceInput"):
            seed = kind == "INT" and options.get("control_after_generate", name in ("seed", "noise_seed"))
            found.append((name, bool(seed)))
    return found


def widget_values(info: Info, values: Sequence[Any]) -> dict[str, Any]:
    """What was typed in, by name; last inputs that a node has got since the workflow was saved keep their defaults."""
    named, place = {}, 0
    for name, is_followed in widgets_of(info):
        if place >= len(values) and name in info["input"].get("optional", {}):
            break
        named[name] = values[place]
        place += 2 if is_followed else 1
    return named


def linked(node: Mapping[str, Any], scope: Scope) -> dict[str, Link]:
    """What is wired in, by name; a wire that starts nowhere is left out."""
    found = {}
    for slot in node.get("inputs", ()):
        link = origin_of(slot.get("link"), scope)
        if link is not None:
            found[slot["name"]] = link
    return found


def origin_of(link: int | None, scope: Scope) -> Link | None:
    """Where a wire starts: seen through the edges of subgraphs, and through bypassed nodes, which hand on their first
    input of the output's type.
    """
    if link is None:
        return None
    key, slot = scope.origins[link]
    if key == FROM_OUTSIDE:
        assert scope.above is not None
        assert scope.host is not None
        return origin_of(scope.host["inputs"][slot].get("link"), scope.above)
    node = scope.nodes[key]
    if node["mode"] == MUTED:
        return None
    if node["mode"] != BYPASSED:
        if key in scope.inside:
            return origin_of(scope.inside[key].outputs[slot], scope.inside[key])
        return [f"{scope.prefix}{key}", slot]
    kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
    same = [place for place, entry in enumerate(inputs) if entry["type"] == kind]
    if not same:
        return None
    return origin_of(inputs[slot if slot in same else same[0]].get("link"), scope)
