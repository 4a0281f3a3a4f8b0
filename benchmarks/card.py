"""Measures a graphics card within ten minutes, with random weights of real size: CUDA, ROCm, XPU or MPS.

    python benchmarks/card.py [--minutes 10] [--comfyui DIR] [--out FOLDER]
    python benchmarks/card.py --cpu --tiny      the same on a CPU, with tiny weights, in seconds

Equality with the CPU comes first: a card that answers something else is not measured. Then it prints the table, and
writes `<card>.json`. What does not fit into the card, or into the time, is named below the table.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # instead of this folder
sys.path.insert(1, str(ROOT / "tests"))  # sizes, tokenizer, oracles

from acestep_core.errors import is_full  # noqa: E402  after the path is set
from benchmarks import harness  # noqa: E402  after the path is set
from benchmarks.cards import equal, hosted, peers, report, songs, speed  # noqa: E402
from benchmarks.cards.sizes import size  # noqa: E402
from benchmarks.core_nodes.install import NoOpponentError  # noqa: E402
from benchmarks.figures import table  # noqa: E402
from benchmarks.harness import Row  # noqa: E402


class Part(NamedTuple):
    """Some rows, and what they are of."""

    name: str
    rows: Callable[[], Iterator[Row]]


def parts(tiny: bool, comfyui: Path | None) -> list[Part]:
    """Everything that is measured, the most telling first."""
    sizes = size(tiny)
    found = [
        Part("equality with the CPU", partial(equal.rows, sizes)),
        Part("evaluations", partial(speed.evaluations, sizes, tiny)),
        Part("decode and encode", partial(speed.sound, sizes, tiny)),
        Part("songs", partial(songs.rows, sizes, tiny)),
        *(Part(f"planner {name}", partial(speed.planner, name, sizes, tiny)) for name in sizes.planners),
        Part("memory", partial(songs.memory_rows, tiny)),
    ]
    if peers.are_here():
        found.append(Part("diffusers", partial(peers.rows, sizes, tiny)))
    if comfyui is not None:
        found.append(Part("a ComfyUI with too little memory", partial(hosted.partial_rows, comfyui, tiny)))
        found.append(Part("ComfyUI's own nodes", partial(hosted.race_rows, comfyui, tiny)))
    return found


def measured(
    planned: Sequence[Part], minutes: float, show: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """The rows of all parts, and a line for each that is missing; unequal answers end it all."""
    end, rows, left_out = time.monotonic() + 60 * minutes, list[Row](), list[str]()
    for part in planned:
        show(f"{part.name} ...")
        try:
            for row in within(end, part):
                rows.append(row)
                show(f"  {row.item}: {table.amount(row.measured, row.unit)}")
        except equal.UnequalError:
            raise
        except Exception as fault:  # noqa: BLE001  (of one part on one card; the others can still be measured)
            why = "does not fit into the memory" if is_full(fault) else first_line(fault)
            left_out.append(f"{part.name}: {why}")
        songs.forget()
    return rows, left_out


class OutOfTimeError(Exception):
    """The time that was given is over."""


def within(end: float, part: Part) -> Iterator[Row]:
    """Its rows as long as there is time for another."""
    rows = part.rows()
    while time.monotonic() < end:
        row = next(rows, None)
        if row is None:
            return
        yield row
    raise OutOfTimeError("no time was left for all of it")


def first_line(fault: BaseException) -> str:
    """What an error says, in one line."""
    said = str(fault).strip().partition("\n")[0]
    return said if isinstance(fault, OutOfTimeError | NoOpponentError) else f"{type(fault).__name__}: {said}"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="no part begins after so many")
    parser.add_argument("--comfyui", type=Path, help="a ComfyUI: partial loading in it, and its own nodes")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the JSON file goes")
    parser.add_argument("--cpu", action="store_true", help="measure the CPU, whatever there is")
    parser.add_argument("--tiny", action="store_true", help="tiny weights and short songs, each once")
    given = parser.parse_args(words)
    if given.comfyui and not (given.comfyui / "main.py").is_file():
        parser.error(f"{given.comfyui} holds no ComfyUI")
    if given.cpu:
        os.environ[harness.DEVICE] = "cpu"
    if harness.device() == "cpu" and not (given.cpu and given.tiny):
        parser.error("there is no card here; --cpu --tiny shows that this program runs")
    return given


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 where the card answers something else than the CPU."""
    given = arguments(words)
    warnings.simplefilter("ignore", FutureWarning)  # diffusers' weight norm
    if not given.cpu:
        harness.use_every_core()
    machine = {**harness.machine(), "card": report.card_name(), "tiny": given.tiny}
    show = partial(print, file=sys.stderr, flush=True)
    try:
        rows, left_out = measured(parts(given.tiny, given.comfyui), given.minutes, show)
    except equal.UnequalError as fault:
        show(str(fault))
        return 1
    print(report.text(machine, rows, left_out))
    show(f"written to {report.save(machine, rows, left_out, given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
