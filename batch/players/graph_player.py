"""Rows laid over a graph, which a ComfyUI in this process runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_core.errors import InvalidInputError
from batch.graphs import Change, Graph, changed, changed_workflow
from batch.publish import File

from .comfy_host import ComfyUI, Installation


@dataclass(frozen=True)
class GraphRecipe:
    """A graph, and the ComfyUI to play it with."""

    graph: Graph
    where: Installation

    def player(self, version: str) -> "GraphPlayer":
        """ComfyUI, started."""
        host = ComfyUI(self.where.on_this_machine())
        if (found := host.pack_version()) != version:
            raise InvalidInputError(
                f"This worker's ComfyUI has version {found} of the pack, and the run was started with {version}.",
                "Bring both to the same version.",
            )
        return GraphPlayer(host, self.graph)


class GraphPlayer:
    """Lays rows over a graph."""

    def __init__(self, host: ComfyUI, graph: Graph) -> None:
        self._host = host
        self._graph = graph

    def play(self, changes: Sequence[Change]) -> list[File]:
        """Run the graph; the files that it keeps, or else its previews, or else its words."""
        workflow = self._graph.workflow
        shown = self._host.run(
            changed(self._graph.prompt, changes), changed_workflow(workflow, changes) if workflow else None
        )
        entries = [entry for one in shown.values() for entry in listed(one)]
        kept = [entry for entry in entries if entry["type"] == "output"] or entries
        paths = list(dict.fromkeys(self._host.path_of(entry) for entry in kept))
        self._sweep({self._host.path_of(entry) for entry in entries})
        if paths:
            return files_of(paths)
        if words := [str(text) for one in shown.values() for text in one.get("text", ())]:
            return [File(".txt", "\n\n".join(words).encode())]
        raise InvalidInputError(
            "The graph made no file.", "Give it a node that saves, such as Save Audio (ACE-Step)."
        )

    def _sweep(self, listed_now: set[Path]) -> None:
        """Remove files of earlier rows. Those of this one stay: an equal row after it gets them out of ComfyUI's cache."""
        stems = {path.with_suffix("") for path in listed_now}
        for kind in ("output", "temp"):
            for path in (self._host.scratch / kind).rglob("*"):
                if path.is_file() and path.with_suffix("") not in stems:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the worker's own folder."""
        self._host.close()


def listed(shown: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The files that an output node lists."""
    for values in shown.values():
        if isinstance(values, list | tuple):
            yield from (one for one in values if isinstance(one, Mapping) and "filename" in one)


def files_of(paths: Sequence[Path]) -> list[File]:
    """The content of these files and of what lies beside them, numbered when they are several."""
    found: list[File] = []
    for number, path in enumerate(paths, 1):
        suffix = f"_{number}" if len(paths) > 1 else ""
        for one in sorted(
            {path, *path.parent.glob(f"{glob_escaped(path.stem)}.*")}, key=lambda p: (p != path, p.name)
        ):
            if one == path or one not in paths:
                found.append(File(suffix + one.suffix, one.read_bytes()))
    return found


def glob_escaped(stem: str) -> str:
    """A name in which stars and brackets mean themselves."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
