"""A run: what workers make goes into the folder, row by row, whoever the workers are."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from .manifest import DONE, FAILED, Manifest, Record
from .plan import Plan, Song, sentence_of
from .progress import Progress
from .publish import File, TakenError

TRIES = 4  # a row whose worker dies is played again three times


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from a worker."""

    song: Song
    seconds: float
    worker: str
    error: str = ""
    files: Sequence[File] = field(default_factory=tuple)
    unfit: str = ""  # why this worker can play no row at all


class UnfitWorkerError(Exception):
    """A worker that can play nothing: no checkpoint, no ComfyUI. The run ends, and no row is to blame."""


def collect(
    plan: Plan, outcomes: Iterable[Outcome], manifest: Manifest, version: str, say: Callable[[str], None]
) -> Progress:
    """Keep every outcome. Rows that come twice are kept once; rows that never come have lost their workers."""
    progress = Progress(plan.left, say)
    for outcome in outcomes:
        if outcome.unfit:
            raise UnfitWorkerError(outcome.unfit)
        if not manifest.has_ended(outcome.song.name):
            keep(manifest, outcome, version)
            progress.ended(not outcome.error)
    if plan.left and not progress.done + progress.failed:
        raise UnfitWorkerError(
            "Every worker died before its first row was played. Look at the logs of Ray; mostly memory is short."
        )
    for song in plan.waiting():
        if not manifest.has_ended(song.name):
            words = f"Its worker died {TRIES} times: it was killed, or memory was short."
            keep(manifest, Outcome(song, 0.0, "", words), version)
            progress.ended(is_done=False)
    return progress


def keep(manifest: Manifest, outcome: Outcome, version: str) -> None:
    """One row into folder and manifest."""
    song, state = outcome.song, FAILED if outcome.error else DONE
    sums = [hashlib.sha256(file.content).hexdigest() for file in outcome.files]
    seconds = round(outcome.seconds, 3)
    record = Record(
        *(song.name, song.row, song.key, state, song.seed, (), sums, seconds, outcome.worker),
        *(outcome.error, version),
    )
    try:
        manifest.keep(record, outcome.files)
    except TakenError as fault:
        manifest.keep(replace(record, state=FAILED, sha256=(), error=sentence_of(fault)))
