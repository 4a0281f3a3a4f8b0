"""A graph over which rows are laid: its prompt, and the widgets that a column may set."""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from acestep_core.errors import InvalidInputError
from acestep_core.files import parse_json, read_regular

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ("example_workflows", "subgraphs")
LARGEST_GRAPH = 64 << 20  # bytes
SEEDS = ("seed", "noise_seed")

Prompt = dict[str, dict[str, Any]]
Place = tuple[str | int, ...]  # keys that lead to a value in the editor's file


@dataclass(frozen=True, slots=True)
class Widget:
    """One value of a graph that can be set."""

    node: str
    name: str
    labels: tuple[str, ...]  # the columns that mean it, the plainest first
    kind: str  # INT, FLOAT, NUMBER (either), STRING, BOOLEAN, COMBO, or "" where nothing is known
    value: Any  # what the graph says
    options: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    is_seed: bool = False
    place: Place | None = None


class Change(NamedTuple):
    """What a row sets."""

    node: str
    name: str
    value: Any
    place: Sequence[str | int] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """A prompt in the form that ComfyUI runs, its widgets, and the editor's file that it came from, if any."""

    prompt: Prompt
    widgets: tuple[Widget, ...]
    workflow: dict[str, Any] | None = None

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "prompt": self.prompt,
            "widgets": [asdict(w) for w in self.widgets],
            "workflow": self.workflow,
        }

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> "Graph":
        """The inverse of `stored`."""
        widgets = (
            Widget(**{name: as_tuple(value) for name, value in entry.items()}) for entry in stored["widgets"]
        )
        return cls(stored["prompt"], tuple(widgets), stored["workflow"])


def as_tuple(value: Any) -> Any:
    """A list as it was before it became JSON; other values as they are."""
    return tuple(value) if isinstance(value, list) else value


def changed(prompt: Prompt, changes: Iterable[Change]) -> Prompt:
    """The prompt of a row; the one of the graph stays as it is."""
    made = dict(prompt)
    for change in changes:
        node = made[change.node]
        made[change.node] = {**node, "inputs": {**node["inputs"], change.name: change.value}}
    return made


def changed_workflow(workflow: Mapping[str, Any], changes: Iterable[Change]) -> Mapping[str, Any]:
    """The editor's file of a row, so that a song dropped on the canvas brings the row's own values back."""
    made = copy.deepcopy(workflow)
    for change in changes:
        if change.place:
            holder: Any = made
            for key in change.place[:-1]:
                holder = holder[key]
            holder[change.place[-1]] = change.value
    return made


def digest(*parts: Any) -> str:
    """One number for JSON values, whatever the order of their keys."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def find_graph(named: str) -> Path:
    """The file of a graph: a path, or the name of one of our templates."""
    path = Path(named)
    if path.is_file():
        return path
    files = [found for folder in TEMPLATES for found in sorted((ROOT / folder).glob("*.json"))]
    names = {title_of(found): found for found in files}
    for name, found in names.items():
        if named.lower() in (name.lower(), found.stem.lower()):
            return found
    raise InvalidInputError(
        f"{named} is neither a file nor one of our templates.", f"The templates are {'; '.join(names)}."
    )


def title_of(template: Path) -> str:
    """A template's name without the number that keeps the list in order."""
    number, _, title = template.stem.partition(" ")
    return title if number.isdigit() else template.stem


def read_graph(path: Path) -> dict[str, Any]:
    """The JSON of a graph, of either form."""
    try:
        graph = parse_json(read_regular(path, LARGEST_GRAPH), LARGEST_GRAPH)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}.", "Save the graph again.") from error
    if not isinstance(graph, dict) or not graph:
        raise InvalidInputError(
            f"{path.name} holds no graph.", "Save a workflow in ComfyUI, or export its API form."
        )
    return graph


def is_editor_form(graph: Mapping[str, Any]) -> bool:
    """Whether the editor saved this; the other form is the one that runs."""
    return isinstance(graph.get("nodes"), list)


def api_graph(prompt: Prompt) -> Graph:
    """A graph in API form, whose values tell their kinds."""
    for key, node in prompt.items():
        if not isinstance(node, dict) or "class_type" not in node or not isinstance(node.get("inputs"), dict):
            raise InvalidInputError(
                f"The entry {key!r} is no node.", "Save the workflow, or export it with File, Export (API)."
            )
    widgets = (
        api_widget(key, node, name, value)
        for key, node in prompt.items()
        for name, value in node["inputs"].items()
        if not isinstance(value, list | dict)
    )
    return Graph(prompt, tuple(widgets))


def api_widget(key: str, node: Mapping[str, Any], name: str, value: Any) -> Widget:
    """A value of a graph in API form."""
    kinds = {bool: "BOOLEAN", int: "NUMBER", float: "NUMBER", str: "STRING"}
    title = (node.get("_meta") or {}).get("title")
    labels = labels_of([title, node["class_type"], key], name)
    is_seed = name in SEEDS and type(value) is int
    return Widget(key, name, labels, "INT" if is_seed else kinds.get(type(value), ""), value, is_seed=is_seed)


def labels_of(nodes: Iterable[Any], name: str) -> tuple[str, ...]:
    """node.widget, for every name that the node has."""
    return tuple(dict.fromkeys(f"{node}.{name}" for node in nodes if node not in (None, "")))
