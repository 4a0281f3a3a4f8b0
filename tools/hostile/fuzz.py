"""Seeded cases for every reader, in children that may crash, hang or swell without anything else noticing."""

import faulthandler
import os
import random
import resource
import select
import signal
import struct
import tempfile
import traceback
from pathlib import Path

from tools.hostile.kit import Kit, Reader
from tools.hostile.plan import Plan
from tools.hostile.readers import READERS
from tools.hostile.stage import Stage
from tools.hostile.verdict import Verdict

SLOWEST = 10.0  # seconds
MOST_MEMORY = 2 << 30  # bytes
BATCH = 500  # most cases of a child
TURNS = 20  # of every reader at least
ACCEPTED, REFUSED, BARE = range(3)
FRAME = struct.Struct(
    "<qq"
)  # of a pipe: a case that begins (-1 - number), or how it ended and bytes of text behind it


def fuzz(stage: Stage, plan: Plan) -> Verdict:
    """All readers in turns, so that a run that is cut short has seen each."""
    verdict = Verdict("Fuzz", plan.limit)
    counts = {reader.name: [0, 0, 0] for reader in READERS}
    most = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        kit = Kit.of(stage, Path(place))
        left = {reader: round(plan.fuzz * reader.share) for reader in READERS}
        while any(left.values()) and verdict.may_go_on():
            for reader in READERS:
                begun = round(plan.fuzz * reader.share) - left[reader]
                size = min(left[reader], BATCH, max(1, round(plan.fuzz * reader.share / TURNS)))
                if size and verdict.may_go_on():
                    most = max(
                        most, batch(kit, reader, range(begun, begun + size), plan.seed, counts, verdict)
                    )
                    left[reader] -= size
    verdict.cases = sum(map(sum, counts.values()))
    verdict.seen += [
        f"{name}: {taken} accepted, {refused} refused" for name, (taken, refused, _) in counts.items()
    ]
    verdict.seen.append(f"the most that a child grew by: {most >> 20} MB")
    verdict.expect(most < MOST_MEMORY, f"a child grew by {most >> 20} MB")
    return verdict.ended()


def batch(
    kit: Kit, reader: Reader, cases: range, seed: int, counts: dict[str, list[int]], verdict: Verdict
) -> int:
    """Some cases of one reader; after a crash or a hang the rest in another child. -> bytes that a child grew by."""
    most = 0
    while cases:
        source, target = os.pipe()
        child = os.fork()
        if not child:
            os.close(source)
            work(kit, reader, cases, seed, target)
        os.close(target)
        last, fault = follow(source, reader, counts, verdict)
        os.close(source)
        if fault == "hangs":
            os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
        most = max(most, used.ru_maxrss * 1024 - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        if os.WIFSIGNALED(status) or os.WEXITSTATUS(status):
            what = "takes over 10 s" if fault == "hangs" else f"kills the process (status {status})"
            verdict.faults.append(f"{reader.name}, case {last}: {what}")
            counts[reader.name][BARE] += 1
            cases = range(last + 1, cases.stop)
        else:
            return most
    return most


def work(kit: Kit, reader: Reader, cases: range, seed: int, target: int) -> None:
    """What a child does; it never comes back."""
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    errors = kit.core.errors
    try:
        for case in cases:
            os.write(target, FRAME.pack(-1 - case, 0))
            said, how = "", ACCEPTED
            try:
                reader.case(kit, random.Random(f"{seed} {reader.name} {case}"))
            except errors.AceStepError as refused:
                how = REFUSED
                if str(refused).count("\n") != 1 or len(str(refused)) > 3_000:
                    said, how = f"says {str(refused)[:200]!r}", BARE
            except BaseException as fault:  # noqa: BLE001  (whatever it is, it is what was looked for)
                frames = traceback.extract_tb(fault.__traceback__)[-1]
                said, how = (
                    f"{type(fault).__name__} {str(fault)[:160]!r} in {Path(frames.filename).name}:{frames.lineno}",
                    BARE,
                )
            text = said.encode("utf-8", "replace")
            os.write(target, FRAME.pack(how, len(text)) + text)
    finally:
        os._exit(0)


def follow(source: int, reader: Reader, counts: dict[str, list[int]], verdict: Verdict) -> tuple[int, str]:
    """Read what a child tells until it ends or is silent for too long. -> its last case, and `hangs` or nothing."""
    last, pending = -1, b""
    while True:
        if not select.select([source], [], [], SLOWEST)[0]:
            return last, "hangs"
        received = os.read(source, 1 << 16)
        if not received:
            return last, ""
        pending += received
        while len(pending) >= FRAME.size:
            kind, length = FRAME.unpack_from(pending)
            if len(pending) < FRAME.size + length:
                break
            text, pending = pending[FRAME.size : FRAME.size + length].decode(), pending[FRAME.size + length :]
            if kind < 0:
                last = -1 - kind
                continue
            counts[reader.name][kind] += 1
            if text:
                verdict.faults.append(f"{reader.name}, case {last}: {text}")
