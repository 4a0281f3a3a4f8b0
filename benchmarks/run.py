"""Runs the benchmarks, checks their gates, and writes the results and the tables of benchmarks/README.md.

    python benchmarks/run.py [NAME ...] [--quick]

A benchmark is a module bench_<name>.py with `run(quick: bool) -> list[Row]`, which compares the two answers before it
times them. `--quick` measures small sizes once: it shows that a benchmark runs, and writes nothing. Without names all
are run; core only where COMFYUI_DIR is a ComfyUI that has ACE-Step 1.5 of its own.
"""

import argparse
import sys
import warnings
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # instead of this folder
sys.path.insert(1, str(ROOT / "tests"))  # the oracles

from benchmarks import harness  # noqa: E402  after the path is set
from benchmarks.core_nodes import install  # noqa: E402
from benchmarks.figures import table  # noqa: E402


def known() -> list[str]:
    """Names of all benchmarks."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def runnable() -> list[str]:
    """Names of all that can run here."""
    try:
        install.found()
    except install.NoOpponentError:
        return [name for name in known() if name != "core"]
    return known()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(known())}; all without")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, nothing written")
    given = parser.parse_args()
    if unknown := set(given.names) - set(known()):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known())}")
    return given


def main() -> int:
    """Run what was asked for; the exit status says whether every gate was reached."""
    given = arguments()
    if "core" in given.names:
        install.found()
    warnings.simplefilter("ignore", FutureWarning)  # diffusers' weight norm
    harness.use_every_core()
    machine = harness.machine()
    print(table.machine_line(machine), flush=True)
    rows = []
    for name in given.names or runnable():
        found = import_module(f"benchmarks.bench_{name}").run(given.quick)
        print(f"\n{name}\n{table.markdown(found)}", flush=True)
        rows += found
        if not given.quick:
            table.save(name + harness.kind(), machine, found)
    if given.quick:
        return 0
    table.write_readme(sorted(path.stem for path in table.RESULTS.glob("*.json")))
    return int(not all(row.reaches(row.gate) for row in rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except install.NoOpponentError as fault:
        sys.exit(str(fault))
