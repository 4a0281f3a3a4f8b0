"""A workflow file of the editor as the prompt that the server runs: what the frontend's Run does, without a browser.

Knows what our example workflows use: nodes, links, bypassed and muted nodes, notes. Subgraphs and reroutes are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from support.comfyui.graphs import EMPTY, Info, Prompt

NOTES = {"Note", "MarkdownNote"}
MUTED, BYPASSED = 2, 4  # values of a node's mode
Link = list[Any]  # [id of the node, slot]


def prompt_of(workflow: Mapping[str, Any], info: Callable[[str], Info]) -> Prompt:
    """The prompt; `info` looks a node up as /object_info shows it."""
    nodes = {node["id"]: node for node in workflow["nodes"] if node["type"] not in NOTES}
    origins = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    running = {key: node for key, node in nodes.items() if node["mode"] not in (MUTED, BYPASSED)}
    return {
        str(key): {
            "class_type": node["type"],
            "inputs": {
                **widget_values(info(node["type"]), node.get("widgets_values") or ()),
                **linked(node, nodes, origins),
            },
        }
        for key, node in running.items()
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
    """What was typed in, by name."""
    named, place = {}, 0
    for name, is_followed in widgets_of(info):
        named[name] = values[place]
        place += 2 if is_followed else 1
    return named


def linked(node: Mapping[str, Any], nodes: Mapping[int, Any], origins: Mapping[int, Any]) -> dict[str, Link]:
    """What is wired in, by name; a wire that starts nowhere is left out."""
    found = {}
    for slot in node.get("inputs", ()):
        link = origin_of(slot.get("link"), nodes, origins)
        if link is not None:
            found[slot["name"]] = link
    return found


def origin_of(link: int | None, nodes: Mapping[int, Any], origins: Mapping[int, Any]) -> Link | None:
    """Where a wire starts, seen through bypassed nodes: those hand on their first input of the output's type."""
    if link is None:
        return None
    key, slot = origins[link]
    node = nodes[key]
    if node["mode"] == MUTED:
        return None
    if node["mode"] != BYPASSED:
        return [str(key), slot]
    kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
    same = [place for place, entry in enumerate(inputs) if entry["type"] == kind]
    if not same:
        return None
    return origin_of(inputs[slot if slot in same else same[0]].get("link"), nodes, origins)
