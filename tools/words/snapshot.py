"""What shared workflows rely on: ids of nodes, and names, order, types and defaults of what goes in and out.

    python -m tools.words.snapshot            says what differs from tests/nodes/snapshot.json
    python -m tools.words.snapshot --update   writes it

A change of a released node breaks workflows of others; additions at the end do not.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

from support.comfyui import fetch
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models

FILE = Path(__file__).resolve().parents[2] / "tests" / "nodes" / "snapshot.json"
PREFIX = "AceGraph"
KEPT = (
    "options",
    "default",
    "min",
    "max",
    "step",
    "multiline",
    "forceInput",
    "lazy",
)  # of a widget's options
Snapshot = dict[str, Any]


def snapshot_of(infos: Mapping[str, Mapping[str, Any]]) -> Snapshot:
    """From /object_info of a ComfyUI whose folders hold no models and no sounds, for every machine has others."""
    return {name: node_of(infos[name]) for name in sorted(infos) if name.startswith(PREFIX)}


def node_of(info: Mapping[str, Any]) -> Snapshot:
    """What the snapshot keeps of one node; inputs in the order in which workflows store their values."""
    groups = info["input"]
    inputs = [
        {"name": name, "optional": group == "optional", **input_of(spec)}
        for group in ("required", "optional")
        for name, spec in groups.get(group, {}).items()
    ]
    outputs = [list(pair) for pair in zip(info["output_name"], info["output"], strict=True)]
    return {
        "display_name": info["display_name"],
        "category": info["category"],
        "output_node": info["output_node"],
        "inputs": inputs,
        "outputs": outputs,
        "hidden": sorted(groups.get("hidden", {})),
    }


def input_of(spec: Any) -> Snapshot:
    """Type, choices and bounds of one input."""
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    kept = {key: options[key] for key in KEPT if options.get(key) is not None}
    return {"type": kind, **kept}


def text_of(snapshot: Snapshot) -> str:
    """As it is committed; one node at a time, so that a change shows which."""
    return json.dumps(snapshot, indent=1, ensure_ascii=True) + "\n"


def differences(old: str, new: str) -> str:
    """Empty when both are equal."""
    return "\n".join(unified_diff(old.splitlines(), new.splitlines(), "committed", "now", lineterm="", n=2))


def infos_of(host: comfy_host.Host) -> dict[str, Any]:
    """What /object_info says of our nodes, without a server."""
    names = (name for name in host.module("nodes").NODE_CLASS_MAPPINGS if name.startswith(PREFIX))
    return json.loads(json.dumps({name: host.info(name) for name in names}))


def main() -> None:
    """Compare with the committed snapshot, or write it."""
    with tempfile.TemporaryDirectory() as scratch:
        base = comfy_models.make_base(Path(scratch), comfy_host.PACK)
        host = comfy_host.start(fetch.comfyui_dir(), base)
        comfy_host.load_pack(host)
        now = text_of(snapshot_of(infos_of(host)))
        host.close()
    if "--update" in sys.argv[1:]:
        FILE.write_text(now, encoding="utf-8")
    elif found := differences(FILE.read_text(encoding="utf-8") if FILE.is_file() else "", now):
        sys.exit(found)


if __name__ == "__main__":
    main()
