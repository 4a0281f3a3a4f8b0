"""A hostile run of the pack: what was done to it on purpose, and what came of it.

    python tools/reliability.py                  hours; the figures of benchmarks/README.md
    python tools/reliability.py --quick          minutes: the worst of it; CI runs it with --limit 6
    python tools/reliability.py --only fuzz,stop --limit 600 --seed 7

Everything happens in folders of its own, in processes of its own, on 127.0.0.1; nothing is downloaded. It ends with 1
if anything was lost, and every case is found again by its seed.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.hostile import plan as plans  # noqa: E402  (found by the path above, wherever this is started)
from tools.hostile.plan import Plan  # noqa: E402
from tools.hostile.verdict import Verdict  # noqa: E402

INSIDE = (
    "fuzz",
    "saves",
    "disks",
    "kills",
    "memory",
    "stop",
)  # in a ComfyUI in this process, forks before anything else
SERVER = ("load", "server-kills")
TESTS = ("partial", "browser")
QUICK = (*INSIDE, "load")
PARTIAL = ["tests/nodes/test_memory.py", "-k", "however_much or every_memory_flag or leaves_the_card"]
BROWSER = ["tests/browser/test_hostile_words.py", "tests/browser/test_editor.py", "-k", "hostile or dropped"]


def inside(plan: Plan, wanted: set[str]) -> Iterator[Verdict]:
    """The parts that need a ComfyUI in this process."""
    from tools.hostile import fuzz, moments, saving
    from tools.hostile.stage import Stage, stage

    parts: dict[str, Callable[[Stage, Plan], Verdict]] = {
        "fuzz": fuzz.fuzz,
        "saves": saving.together,
        "disks": saving.failing_disks,
        "kills": saving.kills,
        "memory": moments.allocations,
        "stop": moments.stops,
    }
    with stage() as opened:
        for name in INSIDE:
            if name in wanted:
                yield whole(name, partial(parts[name], opened, plan))


def on_server(plan: Plan, wanted: set[str]) -> Iterator[Verdict]:
    """The parts that need a server of their own."""
    from support.comfyui import host, models
    from tools.hostile import traffic

    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        base, built = Path(place, "comfyui"), models.build(Path(place, "tiny"))
        models.make_base(base, host.PACK)
        models.link(built, base / "models")
        if "load" in wanted:
            yield whole("load", partial(traffic.load, base, plan))
        if "server-kills" in wanted:
            yield whole("server-kills", partial(traffic.server_kills, base, plan))


def whole(name: str, part: Callable[[], Verdict]) -> Verdict:
    """A part's verdict; an exception of the part itself is a fault, and the others go on."""
    try:
        return part()
    except Exception as fault:  # noqa: BLE001  (whatever it is, it is a fault)
        return Verdict(name, faults=[f"the run itself ended with {type(fault).__name__}: {fault!s:.500}"])


def tests(name: str, chosen: list[str]) -> Verdict:
    """Tests of the project that show the rest."""
    verdict = Verdict(name)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout.strip().splitlines() or ["nothing was told"])[-1]
    verdict.seen.append(last)
    verdict.expect(done.returncode == 0, last)
    verdict.cases = sum(
        int(word)
        for word, then in zip(last.split(), last.split()[1:], strict=False)
        if then.rstrip(",") == "passed"
    )
    return verdict.ended()


def verdicts(plan: Plan, wanted: set[str]) -> Iterator[Verdict]:
    """All parts that are wanted, one after the other."""
    if wanted & set(SERVER):
        yield from on_server(plan, wanted)
    if wanted & set(INSIDE):
        yield from inside(plan, wanted)
    if "partial" in wanted:
        yield tests("Partial loading", PARTIAL)
    if "browser" in wanted:
        yield tests("Browser", BROWSER)


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and tell by the exit code whether everything held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="the worst of it, in minutes")
    parser.add_argument("--only", default="", help=f"some of {', '.join((*INSIDE, *SERVER, *TESTS))}")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--limit", type=float, help="seconds after which a part begins no new case")
    given = parser.parse_args(arguments)
    known = {*INSIDE, *SERVER, *TESTS}
    wanted = set(filter(None, given.only.split(","))) or set(QUICK if given.quick else known)
    if wanted - known:
        parser.error(f"there is no {', '.join(sorted(wanted - known))}")
    plan = (plans.quick if given.quick else plans.full)(given.seed)
    plan = replace(plan, limit=given.limit) if given.limit else plan
    with_group_of_its_own()
    failed = 0
    for verdict in verdicts(plan, wanted):
        print(verdict, flush=True)
        failed += bool(verdict.faults)
    return 1 if failed else 0


def with_group_of_its_own() -> None:
    """Whatever ends this process ends every process that it started, and no other."""
    logging.disable(logging.CRITICAL)  # failing nodes are the point
    os.environ["OMP_NUM_THREADS"] = "1"  # of servers: threads that wait for each other take all the cores
    os.environ["HF_HUB_OFFLINE"] = "1"
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        os.killpg(os.getpid(), number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
