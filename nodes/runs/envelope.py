"""A picture of the song while it is being sampled: its envelope, as far as the clean estimate knows it."""

import time

import numpy as np
from PIL import Image
from torch import Tensor

from ...acestep_core.silence import Silence

WIDTH, ROW_HEIGHT = 512, 96  # pixels; a row for each song
MOST_ROWS = 4
GROUND, BAR = (24, 26, 32), (122, 190, 255)
SHARE = 0.02  # of the time may go into pictures; fast runs get fewer of them
FIRST_COST = 0.01  # seconds that a picture is expected to take before one was drawn

Picture = tuple[str, Image.Image, int]  # as ComfyUI's progress bar takes it: format, image, longest side


class Envelope:
    """Draws the run's pictures, no more often than they are worth."""

    def __init__(self, silence: Silence, frames: int) -> None:
        self._quiet = silence.frames(frames)
        self._frames = frames
        self._cost = FIRST_COST
        self._since = time.perf_counter()

    def of(self, clean: Tensor) -> Picture | None:
        """clean: [B, T, C] latents, possibly longer than the song -> a picture, or None while none is due."""
        if time.perf_counter() - self._since < self._cost / SHARE:
            return None
        distance = distance_from(self._quiet, clean[:MOST_ROWS, : self._frames])
        self._since = time.perf_counter()
        picture = picture_of(distance)
        self._cost = time.perf_counter() - self._since
        return picture


def distance_from(quiet: Tensor, clean: Tensor) -> np.ndarray:
    """How far each frame of [B, T, C] is from silence [1, T, C]: [B, T]."""
    return (clean - quiet.to(clean)).norm(dim=-1).cpu().numpy()


def picture_of(distance: np.ndarray) -> Picture:
    """The further a frame is from silence, the taller its bar. [B, T] -> one row of bars per song."""
    return "JPEG", Image.fromarray(np.concatenate([row_of(song) for song in distance])), WIDTH


def row_of(distance: np.ndarray) -> np.ndarray:
    """[T] -> one song's bars [height, width, 3]."""
    columns = np.linspace(0, len(distance), WIDTH, endpoint=False).astype(int)
    tall = distance[columns] / max(float(distance.max()), 1e-6) * (ROW_HEIGHT / 2 - 4)
    from_middle = np.abs(np.arange(ROW_HEIGHT) - ROW_HEIGHT / 2 + 0.5)[:, None]
    return np.where((from_middle <= np.maximum(tall, 0.5))[..., None], BAR, GROUND).astype(np.uint8)
