"""The workflow of one song of a batch: its own seed and a batch of one, so that a file that is dropped opens as what it is."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.text.sheet import sides_of

SAMPLER, SHEET = "AceGraphSampler", "AceGraphSheet"
COUNTS = {
    "AceGraphSilenceLatent": ("batch_size", 1),
    "RepeatLatentBatch": ("amount", 0),
}  # widget, and its place
Prompt = Mapping[str, Mapping[str, Any]]
SOUND_COMES_IN = {  # node -> the input whose songs it hands on, each in its place
    "AceGraphSaveAudio": "audio",
    "AceGraphPreviewAudio": "audio",
    "AceGraphOobleckDecode": "latent",
    "AceGraphSplice": "new",
    "VAEDecodeAudio": "samples",
    "VAEDecodeAudioTiled": "samples",
    "TrimAudioDuration": "audio",
    "AudioAdjustVolume": "audio",
}
FARTHEST = 32  # nodes between a song and its Sampler


class Change(NamedTuple):
    """A widget of a node that one song of a batch has otherwise."""

    node: str  # as in a prompt: with the subgraph nodes that it is in, and colons between them
    widget: str
    place: int  # among the node's widget values in a workflow
    value: Any


def own_workflow(
    prompt: Any, extra: Mapping[str, Any], seeds: Sequence[int], item: int
) -> tuple[Any, Mapping[str, Any]]:
    """Prompt and what comes along with it, as they would play song `item` of a batch alone.

    seeds: those that the songs were played from. Both stay as they are where it cannot be told what played them.
    """
    changes = changes_for(prompt, seeds, item) if len(seeds) > 1 and isinstance(prompt, Mapping) else ()
    if not changes:
        return prompt, extra
    own, beside = copy.deepcopy(prompt), copy.deepcopy(dict(extra))
    for change in changes:
        own[change.node]["inputs"][change.widget] = change.value
        write(beside.get("workflow"), change)
    return own, beside


def changes_for(prompt: Prompt, seeds: Sequence[int], item: int) -> Sequence[Change]:
    """The seed of the one Sampler that counts these seeds, and the number of songs where its source is made."""
    counted = [
        key
        for key, node in prompt.items()
        if node.get("class_type") == SAMPLER
        and "noise" not in node["inputs"]
        and list(seeds) == [node["inputs"].get("seed"), *seeds[1:]]
        and all(seed == seeds[0] + place for place, seed in enumerate(seeds))
    ]
    if len(counted) != 1:
        return ()
    (sampler,) = counted
    source = prompt[sampler]["inputs"].get("source")
    maker = str(source[0]) if isinstance(source, list) else ""
    kind = prompt.get(maker, {}).get("class_type", "")
    if kind not in COUNTS or prompt[maker]["inputs"].get(COUNTS[kind][0]) != len(seeds):
        return ()
    name, place = COUNTS[kind]
    return Change(sampler, "seed", 0, seeds[item]), Change(maker, name, place, 1)


class Player(NamedTuple):
    """The Sampler that played songs."""

    node: str  # as in a prompt
    seed: int | None  # of the first of them, where nothing stands between that may have changed their order


def sampler_of(prompt: Any, node: str) -> Player | None:
    """The one nearest Sampler upstream of a node; none where two are as near, for who played what cannot be told."""
    if not isinstance(prompt, Mapping):
        return None
    level, keeps = [str(node)], True
    for _ in range(FARTHEST):
        keeps = keeps and all(prompt.get(key, {}).get("class_type") in SOUND_COMES_IN for key in level)
        level = list(dict.fromkeys(origin for key in level for origin in origins(prompt.get(key, {}))))
        found = [key for key in level if prompt.get(key, {}).get("class_type") == SAMPLER]
        if found:
            if len(found) > 1:
                return None
            inputs = prompt[found[0]]["inputs"]
            seed = inputs.get("seed")
            counted = keeps and len(level) == 1 and type(seed) is int and "noise" not in inputs
            return Player(found[0], seed if counted else None)
    return None


def sheet_of(prompt: Any, node: str) -> list[list[str]] | None:
    """Rows and columns of the one Sheet upstream of a node, as they were written; none where they come by wire."""
    if not isinstance(prompt, Mapping):
        return None
    seen = [str(node)]
    for key in seen:  # which grows
        wires = (wire for wire in prompt.get(key, {}).get("inputs", {}).values() if isinstance(wire, list))
        seen += dict.fromkeys(str(wire[0]) for wire in wires if len(wire) == 2 and str(wire[0]) not in seen)
    sheets = [prompt[key]["inputs"] for key in seen if prompt.get(key, {}).get("class_type") == SHEET]
    texts = [sheets[0].get("seeds"), sheets[0].get("values")] if len(sheets) == 1 else []
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    try:
        return [list(side) for side in sides_of(*texts)]
    except InvalidInputError:
        return None


def origins(node: Mapping[str, Any]) -> Iterator[str]:
    """The nodes that songs may have come from: of a node that is known, along its sound, else along every wire."""
    inputs = node.get("inputs", {})
    name = SOUND_COMES_IN.get(node.get("class_type", ""))
    wires = inputs.values() if name is None else (inputs.get(name),)
    yield from (str(wire[0]) for wire in wires if isinstance(wire, list) and len(wire) == 2)


def write(workflow: Any, change: Change) -> None:
    """Change a node of a workflow as the editor stores it; one that is not as expected is left alone."""
    above, _, name = change.node.rpartition(":")
    host, node = found(workflow, above), found(workflow, change.node)
    if node is None:
        return
    replace(node, change.place, change.value)
    if change.widget == "seed":
        replace(node, change.place + 1, "fixed")  # or Run would draw another
    if host is not None:  # the newest editor keeps the values of a box at the box
        shown = places_on(host, graph_of(workflow, host), name, change.widget)
        for place in shown:
            replace(host, place, change.value)


def replace(node: dict[str, Any], place: int, value: Any) -> None:
    """A value of a widget, if there is one at this place."""
    values = node.get("widgets_values")
    if isinstance(values, list) and len(values) > place:
        values[place] = value


def places_on(host: Mapping[str, Any], graph: Any, name: str, widget: str) -> Iterator[int]:
    """Where the values of a box hold that of a node in it."""
    links = {link["id"]: link for link in graph.get("links", ()) if isinstance(link, dict)} if graph else {}
    nodes = {node.get("id"): node for node in graph.get("nodes", ())} if graph else {}
    held = [slot.get("name") for slot in host.get("inputs", ()) if slot.get("widget")]
    for entry in graph.get("inputs", ()) if graph else ():
        for link in (links[key] for key in entry.get("linkIds") or () if key in links):
            slots = nodes.get(link["target_id"], {}).get("inputs", ())
            slot = slots[link["target_slot"]] if len(slots) > link["target_slot"] else {}
            is_it = str(link["target_id"]) == name and (slot.get("widget") or {}).get("name") == widget
            if is_it and entry.get("name") in held:
                yield held.index(entry["name"])


def graph_of(workflow: Any, node: Mapping[str, Any] | None) -> Any:
    """The subgraph that a node stands for."""
    inner = workflow.get("definitions", {}).get("subgraphs", ()) if isinstance(workflow, dict) else ()
    return next((entry for entry in inner if node and entry.get("id") == node.get("type")), None)


def found(workflow: Any, key: str) -> dict[str, Any] | None:
    """A node by its name in a prompt; none for an empty name."""
    graph, node = workflow, None
    for part in key.split(":") if key else ():
        nodes = graph.get("nodes", ()) if isinstance(graph, dict) else ()
        node = next((entry for entry in nodes if str(entry.get("id")) == part), None)
        graph = graph_of(workflow, node)
    return node
