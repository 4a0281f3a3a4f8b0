"""What was measured, as a table and as a file with the card's name."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures import table
from benchmarks.harness import Row, cpu_name, device

FOLDER = Path(__file__).resolve().parents[1] / "results" / "cards"


def card_name() -> str:
    """The device as it calls itself."""
    where = torch.device(device())
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    if where.type == "xpu":
        return torch.xpu.get_device_name(where)
    return f"Apple GPU of {cpu_name()}" if where.type == "mps" else f"{cpu_name()} (no card)"


def text(machine: dict[str, Any], rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """The table, and below it what is missing in it."""
    parts = [f"**{machine['card']}**. {table.machine_line(machine)}", table.markdown(rows)]
    if left_out:
        parts.append("\n".join(["Left out:", *(f"- {line}" for line in left_out)]))
    return "\n\n".join(parts)


def save(
    machine: dict[str, Any], rows: Sequence[Row], left_out: Sequence[str], folder: Path = FOLDER
) -> Path:
    """Write `<card>.json`, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{re.sub(r'[^a-z0-9]+', '-', machine['card'].lower()).strip('-')}.json"
    content = {"machine": machine, "rows": [asdict(row) for row in rows], "left_out": list(left_out)}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file
