"""Excerpts of the song, to be heard while it is being sampled: never at the price of time, of memory, or of the result."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from torch import Tensor

from ...acestep_core.errors import AceStepError, is_full
from ...acestep_core.networks.costs import decoding_flop, evaluation_flop
from ...acestep_core.networks.oobleck import Oobleck
from ...acestep_core.networks.tiling import OVERLAP, activation_bytes, decode_tiled
from ...acestep_core.sampling.job import Job
from ...acestep_core.sampling.settings import ResolvedSettings
from ...acestep_core.sampling.solvers import Progress
from ...acestep_core.silence import Silence
from ...acestep_core.sound.audio_file import FORMATS, encode_audio
from ...acestep_core.sound.levels import FULL_SCALE, fade
from ...acestep_core.timebase import MIN_FRAMES, SAMPLE_RATE, FrameSpan, frames_of, samples_of, seconds_of
from ..host.audience import Audience, audience
from ..host.kernels import note_lost
from ..host.output_files import FreeNames
from ..host.runtime import Managed
from ..wires.sockets import ModelHandle, VaeHandle
from .envelope import distance_from

EVENT = "acegraph.heard"
SHARE = 0.05  # of the time may go into excerpts
LENGTHS = (8, 4, 2)  # seconds; the longest that the time suffices for
EARLY = 0.25  # of the steps, in which there is hardly more than noise
FADE = 0.01  # seconds
FORM = FORMATS["FLAC 16-bit"]
MOST_FILES = 2  # a player may still read the one before the last
FILES = deque[Path]()  # that are there, of all runs
NEVER = float("inf")


class Budget:
    """When the next excerpt is due, and how long excerpts are."""

    def __init__(
        self,
        step_flop: float,
        excerpt_flop: Mapping[int, float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """step_flop: to compute in a step. excerpt_flop: to decode an excerpt, by its seconds, the longest first."""
        self._step_flop = step_flop
        self._excerpt_flop = excerpt_flop
        self._clock = clock
        self._start = self._since = clock()
        self._chosen = 0  # seconds, once there was an excerpt
        self._cost = NEVER  # what it took

    def due(self, done: int, total: int) -> int:
        """Seconds of the excerpt that is due after so many steps; 0 if none is."""
        if done <= EARLY * total or done >= total:
            return 0
        now = self._clock()
        seconds, cost = (self._chosen, self._cost) if self._chosen else self._guessed(now, done, total)
        return seconds if now - self._since >= cost / SHARE else 0

    def _guessed(self, now: float, done: int, total: int) -> tuple[int, float]:
        """The longest excerpt that what remains of the run is worth, and what it would take at the speed of the steps."""
        step = (now - self._start) / done
        guesses = ((seconds, flop * step / self._step_flop) for seconds, flop in self._excerpt_flop.items())
        return next((guess for guess in guesses if guess[1] <= SHARE * step * (total - done)), (0, NEVER))

    @contextmanager
    def spending(self, seconds: int) -> Iterator[None]:
        """What happens inside is the making of an excerpt, and tells what the next one will take."""
        begin = self._clock()
        yield
        self._since = self._clock()
        self._chosen, self._cost = seconds, self._since - begin


class Excerpts:
    """Decodes the same passage of the first song again and again, while it gets clearer."""

    def __init__(
        self,
        who: Audience,
        transformer: Managed,
        vae: Managed,
        silence: Silence,
        job: Job,
        settings: ResolvedSettings,
        budget: Budget,
    ) -> None:
        self.vae = vae
        self._who, self._transformer, self._budget = who, transformer, budget
        self._quiet = silence.frames(job.frames)
        self._mask = None if job.mask is None else job.mask[0].cpu().numpy()
        self._times = settings.times
        self._passage: FrameSpan | None = None
        self._made = 0
        self._over = ""  # why there are no more

    @property
    def room(self) -> int:
        """Bytes that the longest excerpt takes."""
        return excerpt_bytes(self.vae)

    def hear(self, progress: Progress) -> None:
        """After each step: an excerpt, if one is due and both networks are there."""
        if self._over:
            return
        progress.clean[
            :1, :1, :1
        ].cpu()  # wait, or the clock would count what is asked of a device and not yet done
        seconds = self._budget.due(progress.done, progress.total)
        if not seconds:
            return
        if not (self._transformer.is_whole and self.vae.is_whole):
            self._over = "the card holds a part of the weights only"
            return
        try:
            with self._budget.spending(seconds):
                self._play(progress, seconds)
        except (RuntimeError, MemoryError, OSError, AceStepError) as fault:
            if not isinstance(fault, AceStepError) and not is_full(fault):
                raise
            note_lost(fault)
            self._over = "memory ran out" if is_full(fault) else f"{fault}".replace("\n", " ").rstrip(".")

    def _play(self, progress: Progress, seconds: int) -> None:
        """Decode, store, tell."""
        frames = self._quiet.shape[1]
        clean = progress.clean[:1, :frames]
        if self._passage is None:
            distance = distance_from(self._quiet, clean)[0]
            self._passage = passage_of(distance, self._mask, min(frames_of(seconds), frames))
        sound = decoded(self.vae.network, clean, self._passage)
        sound = fade(FULL_SCALE.apply(sound), FADE, FADE)
        names = FreeNames(f"acegraph_heard_{secrets.token_hex(4)}", "temp")
        (path,) = names.write(0, {FORM.extension: encode_audio(sound[0], SAMPLE_RATE, FORM)})
        keep(path)
        self._made += 1
        told = {"item": 0, "step": progress.done, "steps": progress.total, "t": self._times[progress.done]}
        told |= {"at": seconds_of(self._passage.start), "seconds": seconds_of(length_of(self._passage))}
        file = {"filename": path.name, "subfolder": names.subfolder, "type": names.kind}
        self._who.tell(EVENT, told | file)

    def report(self) -> list[str]:
        """What became of them, in words."""
        if self._passage is None:
            return [f"Not heard while sampling: {self._over or 'the run was too short for an excerpt'}"]
        first, last = seconds_of(self._passage.start), seconds_of(self._passage.stop)
        over = f", then no more: {self._over}" if self._over else ""
        return [f"Excerpts while sampling: {self._made}, from {first:g} to {last:g} s{over}"]


def excerpts_of(
    model: ModelHandle, handle: VaeHandle, job: Job, settings: ResolvedSettings, room: int
) -> tuple[Excerpts | None, list[str]]:
    """Excerpts for this run, or None and why there are none. room: bytes that the run takes beyond the weights.

    Decided here for the whole run: a network that is brought in later may send away what the next step needs.
    """
    who, transformer, vae = audience(), model.transformer, handle.vae
    if who is None:
        return None, []
    if vae.device != transformer.device:
        return None, [
            f"Not heard while sampling: the VAE computes on {vae.device}, the model on {transformer.device}"
        ]
    if not transformer.fits_beside(room + excerpt_bytes(vae), vae):
        return None, [
            "Not heard while sampling: the card has no room for the model, the VAE and their work at once"
        ]
    rows, evaluations = job.songs * (2 if settings.guided else 1), 2 if settings.asked.solver == "heun" else 1
    step = evaluations * evaluation_flop(model.config, rows, max(job.frames, MIN_FRAMES))
    frame = decoding_flop(vae.network.config)
    windows = {seconds: min(frames_of(seconds) + 2 * OVERLAP, job.frames) for seconds in LENGTHS}
    budget = Budget(step, {seconds: frame * frames for seconds, frames in windows.items()})
    return Excerpts(who, transformer, vae, model.silence, job, settings, budget), []


def excerpt_bytes(vae: Managed) -> int:
    """What the longest excerpt takes to decode, beyond the weights."""
    window = frames_of(LENGTHS[0]) + 2 * OVERLAP
    return activation_bytes(window, vae.network.config, vae.dtype, vae.device)


def passage_of(distance: np.ndarray, mask: np.ndarray | None, length: int) -> FrameSpan:
    """Where most happens of a song [T], as far as it is made anew: `length` frames with the mask in their middle."""
    weight = distance if mask is None or not mask.any() else distance * mask
    sums = np.convolve(weight.astype(np.float64), np.ones(length), "valid")
    best = np.flatnonzero(sums >= sums.max() * (1 - 1e-6))
    start = int(best[len(best) // 2])
    return FrameSpan(start, start + length)


def decoded(oobleck: Oobleck, clean: Tensor, passage: FrameSpan) -> Tensor:
    """The passage's sound [1, C, S] out of the song's latents [1, T, D]: what the whole song would have there."""
    first, last = max(0, passage.start - OVERLAP), min(passage.stop + OVERLAP, clean.shape[1])
    window = decode_tiled(oobleck, clean[:, first:last], last - first).cpu()
    return window[:, :, samples_of(passage.start - first) : samples_of(passage.stop - first)]


def length_of(span: FrameSpan) -> int:
    """Frames inside."""
    return span.stop - span.start


def keep(path: Path) -> None:
    """Remember a file that was written, and remove what is older than the last ones."""
    FILES.append(path)
    while len(FILES) > MOST_FILES:
        with suppress(OSError):  # ComfyUI empties its temp folder as well
            FILES.popleft().unlink()
