"""The results: one JSON file per benchmark, and the tables in benchmarks/README.md that are made of them."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.harness import Row

ROOM = Path(__file__).resolve().parents[1]
RESULTS = ROOM / "results"
README = ROOM / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def save(name: str, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write benchmarks/results/<name>.json, with the day and the commit."""
    RESULTS.mkdir(exist_ok=True)
    measured = {"on": date.today().isoformat(), "commit": commit()}
    content = {"measured": measured, "machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def commit() -> str:
    """Of these sources, with a plus where something was changed since; empty outside of a clone."""
    command = ["git", "-C", str(ROOM), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def stored(name: str) -> tuple[dict[str, Any], list[Row]]:
    """The machine and the rows of one earlier run."""
    content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content["machine"], [Row(**row) for row in content["rows"]]


def markdown(rows: Sequence[Row]) -> str:
    """A table with the gate, the goal and what was reached."""
    lines = ["| item | measured | gate | goal | |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        bounds = (bound_text(row, row.gate), bound_text(row, row.goal))
        lines.append(
            f"| {row.item} | {amount(row.measured, row.unit, digits_needed(row))} | {' | '.join(bounds)} | {verdict(row)} |"
        )
    return "\n".join(lines)


def digits_needed(row: Row) -> int:
    """Three, or as many as tell on which side of its bounds a number is."""
    few = (
        count
        for count in (3, 4)
        if verdict(replace(row, measured=float(f"{row.measured:.{count}g}"))) == verdict(row)
    )
    return next(few, 5)


def amount(value: float, unit: str, digits: int = 3) -> str:
    """A number with as many digits as mean something: 1.93x, 0.05 s, 850 MiB, 6e-06."""
    text = (
        f"{value:.{digits - 1}e}"
        if 0 < abs(value) < 0.001
        else f"{value:.0f}"
        if abs(value) >= 100 and digits == 3
        else f"{value:.{digits}g}"
    )
    return f"{text}{unit}" if unit in ("", "x") else f"{text} {unit}"


def bound_text(row: Row, bound: float | None) -> str:
    """The bound with its direction; empty if there is none."""
    return "" if bound is None else f"{'>=' if row.more_is_better else '<='} {amount(bound, row.unit)}"


def verdict(row: Row) -> str:
    """What the measured value reaches."""
    if not row.reaches(row.gate):
        return "missed"
    if row.goal is not None and row.reaches(row.goal):
        return "goal"
    return "" if row.gate is None else "gate"


def machine_line(machine: dict[str, Any]) -> str:
    """One sentence about where the numbers come from."""
    peaks = ", ".join(f"{dtype} {peak}" for dtype, peak in machine["gemm_gflops"].items())
    return (
        f"{machine['cpu']} ({machine['capability']}) running on {machine['device']}, {machine['threads']} threads, matrix products "
        f"{peaks} GFLOP/s; torch {machine['torch']}, diffusers {machine['diffusers']}, transformers {machine['transformers']}."
    )


def write_readme(names: Sequence[str]) -> None:
    """Put the stored results of these benchmarks between the two markers of benchmarks/README.md, one table per machine."""
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after:
        print(f"benchmarks/README.md does not hold {BEGIN} and {END} once each: its table stays as it is.")
        return
    by_machine: dict[str, list[Row]] = {}
    for name in names:
        machine, rows = stored(name)
        by_machine.setdefault(machine_line(machine), []).extend(rows)
    tables = "\n\n".join(f"{line}\n\n{markdown(rows)}" for line, rows in by_machine.items())
    README.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
