"""The clocks of the model: 48 kHz samples, 25 Hz latent frames, 5 Hz audio codes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import InvalidInputError

SAMPLE_RATE = 48_000  # audio samples per second
SAMPLES_PER_FRAME = 1_920  # the VAE's stride
FRAMES_PER_SECOND = SAMPLE_RATE // SAMPLES_PER_FRAME  # 25
FRAMES_PER_CODE = 5  # one audio code covers a fifth of a second
CODES_PER_SECOND = FRAMES_PER_SECOND // FRAMES_PER_CODE  # 5
MIN_FRAMES = 128  # shorter songs are padded with silence for sampling (5.12 s)
MAX_SECONDS = 600.0  # the longest song the model was made for
TIMBRE_FRAMES = 750  # a timbre reference is always 30 s long


def frames_of(seconds: float) -> int:
    """Latent frames of a song of this length, to the nearest frame."""
    return round(seconds * FRAMES_PER_SECOND)


def seconds_of(frames: int) -> float:
    """Length of so many latent frames."""
    return frames / FRAMES_PER_SECOND


def codes_of(seconds: float) -> int:
    """Whole audio codes of a song of this length; a hair below a code's edge counts as on it."""
    return math.floor(seconds * CODES_PER_SECOND + 1e-6)


def seconds_of_codes(codes: int) -> float:
    """Length of so many audio codes."""
    return codes / CODES_PER_SECOND


def samples_of(frames: int) -> int:
    """Audio samples behind so many latent frames."""
    return frames * SAMPLES_PER_FRAME


def frames_in(samples: int) -> int:
    """Whole latent frames in so many audio samples, as the VAE encodes them."""
    return samples // SAMPLES_PER_FRAME


def frame_at(seconds: float) -> int:
    """The frame that contains this moment; a hair below a frame's edge counts as on it."""
    return math.floor(seconds * FRAMES_PER_SECOND + 1e-6)


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """Half-open range of latent frames: `start` is inside, `stop` is not."""

    start: int
    stop: int

    @classmethod
    def from_seconds(cls, start: float, end: float, frames: int) -> "FrameSpan":
        """The frames from `start` to `end` (negative: the song's end) of a song of `frames`; never empty."""
        require_span(start, end)
        length = seconds_of(frames)
        stop = frames if end < 0 else min(frame_at(end), frames)
        first = frame_at(start)
        if first >= stop:
            raise InvalidInputError(
                f"The part begins at {start:g} s, and the song ends at {length:g} s.",
                f"Choose a start below {length:g} s.",
            )
        return cls(first, stop)

    def mask(self, frames: int) -> Tensor:
        """[frames] float: 1 inside the span, 0 outside."""
        index = torch.arange(frames)
        return ((index >= self.start) & (index < self.stop)).float()


def require_span(start: float, end: float) -> None:
    """Refuse a part that is empty in a song of any length. end: negative for the song's end."""
    if frame_at(start) < 0 or (end >= 0 and frame_at(end) <= frame_at(start)):
        raise InvalidInputError(
            f"The part from {start:g} to {end:g} s is empty.",
            f"Let it begin at 0 s or later, and end {1 / FRAMES_PER_SECOND} s or more after its start; "
            "an end of -1 is the song's end.",
        )


def require_seconds(seconds: float, subject: str) -> None:
    """Refuse a duration that is negative, infinite or no number."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInputError(
            f"{subject} of {seconds:g} s is not possible.", "Enter 0 or a number of seconds above it."
        )
