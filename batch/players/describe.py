"""The schemas of nodes, asked of a ComfyUI in a process of its own, and kept beside the songs.

python -m batch.players.describe COMFYUI BASE < names of nodes > schemas      BASE may be "-"
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from acestep_core.errors import AceStepError, InvalidInputError
from acestep_core.files import parse_json, read_regular, write_whole
from batch.editor_form import editor_graph, types_of
from batch.graphs import LARGEST_GRAPH, ROOT, Graph, api_graph, digest, is_editor_form

from .comfy_host import ComfyUI, Installation

KEPT = ".graph.json"
SECONDS = 300.0  # ComfyUI needs 5 to 8
MARK = "schemas: "


def graph_of(content: dict[str, Any], where: Installation | None, folder: Path | None, version: str) -> Graph:
    """The graph of a file of either form; what ComfyUI told of its nodes last time is taken from the folder."""
    if not is_editor_form(content):
        return api_graph(content)
    if where is None:
        raise InvalidInputError(
            "Only ComfyUI knows the widgets of a workflow that the editor saved.",
            "Give its folder with --comfyui or COMFYUI_DIR, or export the graph with File, Export (API).",
        )
    key = digest(version, content, str(where.comfyui), str(where.base))
    if folder is not None and (kept := read_kept(folder / KEPT, key)):
        return kept
    schemas = asked(types_of(content), where)
    graph = editor_graph(content, lambda name: schemas[name])
    if folder is not None and folder.is_dir():
        write_whole(folder / KEPT, json.dumps({"key": key, "graph": graph.stored()}).encode())
    return graph


def read_kept(path: Path, key: str) -> Graph | None:
    """The graph that was kept, if it is this one."""
    try:
        kept = parse_json(read_regular(path, LARGEST_GRAPH), LARGEST_GRAPH)
        return Graph.restored(kept["graph"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def asked(types: set[str], where: Installation) -> dict[str, Any]:
    """The schemas of these kinds of nodes."""
    command = [sys.executable, "-m", "batch.players.describe", str(where.comfyui), str(where.base or "-")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    answer = subprocess.run(
        command,
        input=json.dumps(sorted(types)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    line = next((line for line in answer.stdout.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise InvalidInputError(
            f"ComfyUI in {where.comfyui} does not start: {answer.stderr[-2000:].strip()}",
            "See that it starts by itself, with the python that runs this.",
        )
    told = json.loads(line.removeprefix(MARK))
    if "problem" in told:
        raise InvalidInputError(told["problem"], told["remedy"])
    return told["schemas"]


def main() -> None:
    """Tell the schemas."""
    comfyui, base = sys.argv[1:]
    wanted = json.load(sys.stdin)
    host = None
    try:
        host = ComfyUI(Installation(Path(comfyui), None if base == "-" else Path(base), cpu=True))
        told: dict[str, Any] = {"schemas": {name: host.info(name) for name in wanted}}
    except AceStepError as fault:
        told = {"problem": fault.problem, "remedy": fault.remedy}
    finally:
        if host is not None:
            host.close()
    print(MARK + json.dumps(told, default=str), flush=True)


if __name__ == "__main__":
    main()
