"""How to sample: every choice as a value, and what the checkpoint's kind fills in where nothing was chosen."""

import math
from dataclasses import dataclass, field
from functools import partial

import torch

from ..errors import InvalidInputError
from ..interface import AUTO
from . import schedule
from .dcw import WaveletCorrection
from .guidance import GUIDANCE
from .noise import NoiseStream
from .repaint import RepaintStrength
from .solvers import Solver, adams, euler, heun, sde
from .velocity import Filters, Guided

SOLVERS = ("euler", "heun", "sde", "ab2", "ab3")
NO_GUIDANCE = 1.0


@dataclass(frozen=True, slots=True)
class Preset:
    """What suits one kind of checkpoint."""

    steps: int
    shift: float
    guidance: float


DISTILLED = Preset(steps=8, shift=3.0, guidance=NO_GUIDANCE)
GUIDED = Preset(steps=50, shift=3.0, guidance=7.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """The sampler's settings; a number of 0 and the word auto leave the choice to the checkpoint."""

    steps: int = 0
    shift: float = 0.0
    guidance: float = 0.0  # 1: none
    guidance_kind: str = AUTO
    interval: tuple[float, float] = (0.0, 1.0)  # the stretch of t in which guidance acts
    solver: str = "euler"
    times: tuple[float, ...] | None = None  # in place of steps and shift
    bf16_schedule: bool = False  # round the times as the official bf16 code does
    noise_strength: float = 0.0  # how much of the start comes from existing music
    cover_strength: float = 1.0  # share of the steps before the second conditions take over
    repaint: RepaintStrength = field(default_factory=RepaintStrength)
    filters: Filters = field(default_factory=Filters)
    wavelet: WaveletCorrection | None = None

    def __post_init__(self) -> None:
        shares = {
            "noise strength": self.noise_strength,
            "cover strength": self.cover_strength,
            "guidance interval's start": self.interval[0],
            "guidance interval's end": self.interval[1],
        }
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise InvalidInputError(f"The {name} is {share:g}.", "Set it between 0 and 1.")
        start, end = self.interval
        if start > end:
            raise InvalidInputError(
                f"The guidance interval begins at {start:g} and ends at {end:g}.",
                "Set its start to its end, or below.",
            )
        if not (self.guidance == 0 or 1 <= self.guidance < math.inf):
            raise InvalidInputError(
                f"The guidance is {self.guidance:g}.", "Set 0 for auto, 1 for none, or more."
            )
        if self.solver not in SOLVERS:
            raise InvalidInputError(
                f"There is no solver {self.solver!r}.", f"Choose one of {', '.join(SOLVERS)}."
            )
        if self.guidance_kind not in (AUTO, *GUIDANCE):
            raise InvalidInputError(
                f"There is no guidance {self.guidance_kind!r}.",
                f"Choose auto or one of {', '.join(GUIDANCE)}.",
            )

    def resolved(self, turbo: bool) -> "ResolvedSettings":
        """Fill in what was left open, as suits the kind of checkpoint."""
        preset = DISTILLED if turbo else GUIDED
        steps, shift = self.steps or preset.steps, self.shift or preset.shift
        scale = self.guidance or preset.guidance
        kind = "apg" if self.guidance_kind == AUTO else self.guidance_kind
        guided = None if scale == NO_GUIDANCE else Guided(GUIDANCE[kind](scale), *self.interval)
        if self.times is not None:
            times = schedule.custom(self.times)
        else:
            times = schedule.shifted(steps, shift, torch.bfloat16 if self.bf16_schedule else torch.float64)
        if self.noise_strength > 0:
            times = schedule.from_nearest(times, 1 - self.noise_strength)
        return ResolvedSettings(tuple(times), guided, turbo, self)


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings with every choice made, for one kind of checkpoint."""

    times: tuple[float, ...]
    guided: Guided | None
    turbo: bool
    asked: Settings

    @property
    def steps(self) -> int:
        """Steps that will really be taken."""
        return len(self.times) - 1

    @property
    def cover_steps(self) -> int:
        """Steps before the second conditions take over."""
        return int(self.steps * self.asked.cover_strength)

    @property
    def held_steps(self) -> int:
        """Steps after which a repaint's surroundings are put back."""
        return self.asked.repaint.held_steps(self.steps, frees_last=self.turbo)

    def solver(self, stream: NoiseStream) -> Solver:
        """The step function; a stochastic one draws from the stream."""
        return {
            "euler": euler,
            "heun": partial(heun, corrects_last=not self.turbo),
            "sde": partial(sde, fresh=stream.fresh),
            "ab2": partial(adams, order=2),
            "ab3": partial(adams, order=3),
        }[self.asked.solver]

    def report(self) -> str:
        """One line for the user."""
        guided = self.guided
        how = (
            f"{type(guided.guidance).__name__.upper()} {guided.guidance.scale:g}" if guided else "no guidance"
        )
        source = "custom times" if self.asked.times is not None else "shifted times"
        return f"{self.steps} steps ({self.asked.solver}, {source} from {self.times[0]:.4g}), {how}"
