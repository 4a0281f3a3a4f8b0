"""Songs are saved to disks that fail, into folders that vanish, by processes that are killed: never half a file under a name."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from tools.hostile.plan import Plan
from tools.hostile.stage import Act, Stage
from tools.hostile.verdict import Verdict

SECONDS, RATE, SONGS = 1.5, 48_000, 2
FOLDER = "hostile"
WRITTEN = {  # what is no sound, and is JSON, which tells whether it is whole: the nodes that save it
    "codes": "AceGraphSaveCodes",
    "lyrics": "AceGraphSaveLyrics",
}
PROCESSES = 8
REFUSALS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO)
LONG_AGO = 2 * 3600
PATIENCE = 30.0  # seconds, for a child that saves


def forms_of(stage: Stage) -> list[str]:
    """Every format of Save Audio, and what the nodes are called that save something else."""
    return [*stage.pack.acestep_core.sound.audio_file.FORMATS, *WRITTEN]


def saving(stage: Stage, form: str) -> Act:
    """An execution of Save Audio in this format, or of the node that saves this."""
    if form in WRITTEN:
        act = next(act for act in stage.acts if act.kind == WRITTEN[form])
        more = {"times": sung(stage), "form": "json"} if form == "lyrics" else {}
        return replace(act, values={**act.values, "filename_prefix": f"{FOLDER}/song", **more})
    act = next(act for act in stage.acts if act.kind == "AceGraphSaveAudio")
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((SONGS, 2, round(SECONDS * RATE))) * 0.1)
    audio = {"waveform": wave.float(), "sample_rate": RATE}
    return replace(
        act,
        values={
            **act.values,
            "conditions": None,
            "times": None,
            "audio": audio,
            "format": form,
            "filename_prefix": f"{FOLDER}/song",
        },
    )


def sung(stage: Stage) -> tuple[Any, ...]:
    """Times of some songs, for nothing is found in what a random model sings."""
    lrc = stage.pack.acestep_core.text.lrc
    word = lrc.TimedText(0.5, 1.0, "la")
    return (lrc.TimedLyrics((lrc.TimedLine(0.5, 1.0, "la", (word,)),), SECONDS, 1.0),) * SONGS


def half_files(folder: Path) -> list[str]:
    """Files under a final name that are not whole."""
    return [
        path.name for path in folder.rglob("*") if path.is_file() and not is_part(path) and not is_whole(path)
    ]


def is_part(path: Path) -> bool:
    """Whether it is what a process writes beside its target."""
    return path.name.startswith(".") and path.suffix == ".part"


def is_whole(path: Path) -> bool:
    """Whether a saved song can be read to its end, or a side file be parsed."""
    try:
        if path.suffix == ".json":
            return bool(json.loads(path.read_bytes()))
        samples, rate = soundfile.read(path)
        return abs(len(samples) / rate - SECONDS) < 0.1
    except (ValueError, OSError, soundfile.SoundFileError):
        return False


class Disk:
    """Counts what is asked of the disk while a file is written, and does something at one of these moments."""

    def __init__(self, at: int = -1, strike: Callable[[], None] = lambda: None) -> None:
        self.now, self._at, self._strike = 0, at, strike

    def tick(self) -> None:
        """Called before every request."""
        self.now += 1
        if self.now == self._at:
            self._strike()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Opening a new file, writing it through, linking, renaming: each is a moment."""
        saved = {
            (owner, name): getattr(owner, name)
            for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace"))
        }
        plain_open = Path.open

        def opened(path: Path, mode: str = "r", *more: Any, **words: Any) -> Any:
            if "x" in mode:
                self.tick()
            return plain_open(path, mode, *more, **words)

        def ticking(plain: Callable[..., Any]) -> Callable[..., Any]:
            def called(*given: Any, **words: Any) -> Any:
                self.tick()
                return plain(*given, **words)

            return called

        Path.open = opened  # type: ignore[method-assign]
        for (owner, name), plain in saved.items():
            setattr(owner, name, ticking(plain))
        try:
            yield
        finally:
            Path.open = plain_open  # type: ignore[method-assign]
            for (owner, name), plain in saved.items():
                setattr(owner, name, plain)


def refusing(code: int) -> Callable[[], None]:
    """The disk says no."""

    def refuse() -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def failing_disks(stage: Stage, plan: Plan) -> Verdict:
    """Every request of every format fails once for every reason, and the folder vanishes before every one."""
    verdict, dice = Verdict("Failing disks", plan.limit), random.Random(plan.seed)
    folder, cases = stage.host.base / "output" / FOLDER, list[tuple[Act, int, Callable[[], None], str]]()
    for form in forms_of(stage):
        act, disk = saving(stage, form), Disk()
        act(disk.watched())
        for at in range(1, disk.now + 1):
            cases += [
                (act, at, refusing(code), f"{form}, request {at}: {errno.errorcode[code]}")
                for code in REFUSALS
            ]
            cases.append(
                (act, at, lambda: shutil.rmtree(folder), f"{form}, request {at}: the folder vanishes")
            )
    dice.shuffle(cases)
    verdict.begin()
    for act, at, strike, name in cases:
        if verdict.may_go_on():
            fail(stage, act, Disk(at, strike), name, verdict)
            verdict.cases += 1
    verdict.seen.append(f"of {len(cases)}: formats x requests x reasons")
    return verdict.ended()


def fail(stage: Stage, act: Act, disk: Disk, name: str, verdict: Verdict) -> None:
    """One disk that fails while one batch is saved, and the next save."""
    folder = stage.host.base / "output" / FOLDER
    try:
        act(disk.watched())
    except stage.pack.acestep_core.errors.FileError:
        pass
    except Exception as fault:  # noqa: BLE001  (whatever it is, it is what was looked for)
        verdict.faults.append(f"{name}: {type(fault).__name__} {fault!s:.200}")
    verdict.expect(not stage.leftovers(), f"{name}: left {[path.name for path in stage.leftovers()]}")
    before = set(folder.rglob("*"))
    act()
    files = 1 if act.kind == WRITTEN["codes"] else SONGS
    verdict.expect(len(set(folder.rglob("*")) - before) >= files, f"{name}: the next run saved nothing")
    verdict.expect(not half_files(folder), f"{name}: half files {half_files(folder)}")
    shutil.rmtree(folder)


def together(stage: Stage, plan: Plan) -> Verdict:
    """Eight processes save under one prefix at once: as many files as saves, each whole and of its own process."""
    verdict = Verdict("Saves of eight processes")
    children = [os.fork() or save_many(stage, process, plan.saves) for process in range(PROCESSES)]
    ended = [os.waitpid(child, 0)[1] for child in children]
    verdict.expect(not any(ended), f"processes ended with {ended}")
    folder, saves = stage.host.base / "output" / FOLDER, PROCESSES * plan.saves
    found = {tuple(json.loads(path.read_bytes())) for path in folder.iterdir() if not is_part(path)}
    files = len(list(folder.iterdir()))
    every = {(process, number) for process in range(PROCESSES) for number in range(plan.saves)}
    verdict.expect(
        found == every and files == saves, f"{files} files of {saves} saves, {len(every - found)} lost"
    )
    verdict.seen.append(
        f"{PROCESSES} processes x {plan.saves} saves: {files} files, {len(every - found)} lost"
    )
    shutil.rmtree(folder)
    verdict.cases = saves
    return verdict.ended()


def save_many(stage: Stage, process: int, saves: int) -> int:
    """What a child does; it never comes back."""
    how = 1
    with contextlib.suppress(BaseException):
        for number in range(saves):
            names = stage.pack.nodes.host.output_files.FreeNames(
                f"{FOLDER}/many"
            )  # one for each run of a node
            names.write(0, {".json": json.dumps([process, number]).encode()})
        how = 0
    os._exit(how)


def kills(stage: Stage, plan: Plan) -> Verdict:
    """A process that saves is killed at seeded moments; afterwards every named file is whole, and leftovers go."""
    verdict, dice = Verdict("kill -9 while saving", plan.limit), random.Random(plan.seed)
    forms = forms_of(stage)
    folder, left, whole = stage.host.base / "output" / FOLDER, 0, 0
    for number in range(plan.kills):
        if verdict.may_go_on():
            form = forms[number % len(forms)]
            kill_saver(saving(stage, form), dice.uniform(0.0, 0.3), verdict)
            verdict.expect(not half_files(folder), f"{form}: half files {half_files(folder)}")
            left += len(stage.leftovers())
            whole += sum(path.is_file() and not is_part(path) for path in folder.rglob("*"))
            swept(stage, saving(stage, form), verdict)
            shutil.rmtree(folder)
            verdict.cases += 1
    verdict.expect(whole or not verdict.cases, "no process ever got so far as to save")
    verdict.seen.append(f"{whole} whole files, {left} leftovers, all removed once they were old")
    return verdict.ended()


def kill_saver(act: Act, after: float, verdict: Verdict) -> None:
    """A child saves until it is killed, so long after its first file."""
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            act()
            os.write(told, b".")
            while True:
                act()
        os._exit(1)
    os.close(told)
    watch = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        verdict.expect(os.read(ready, 1) == b".", "a child could not save")
        time.sleep(after)
    except KeyboardInterrupt:
        verdict.faults.append(f"a child did not save within {PATIENCE:g} s")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, watch)
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def swept(stage: Stage, act: Act, verdict: Verdict) -> None:
    """Leftovers stay while they are young, and are gone with the first save once they are old."""
    young = set(stage.leftovers())
    act()
    verdict.expect(young <= set(stage.leftovers()), "a young leftover was removed")
    past = time.time() - LONG_AGO
    for path in young:
        os.utime(path, (past, past))
    act()
    verdict.expect(not stage.leftovers(), f"old leftovers stay: {[path.name for path in stage.leftovers()]}")
