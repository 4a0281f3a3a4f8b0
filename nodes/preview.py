"""A picture of the song while it is being sampled: its envelope, as far as the clean estimate knows it."""

import numpy as np
from PIL import Image
from torch import Tensor

WIDTH, ROW_HEIGHT = 512, 96  # pixels; a row for each song
MOST_ROWS = 4
GROUND, BAR = (24, 26, 32), (122, 190, 255)
PREVIEW = tuple[str, Image.Image, int]


def envelope_picture(clean: Tensor, silence: Tensor) -> PREVIEW:
    """clean: [B, T, C] latents; silence: [1, T, C]. The further a frame is from silence, the taller its bar."""
    distance = (clean[:MOST_ROWS] - silence.to(clean)).norm(dim=-1).cpu().numpy()
    rows = [envelope_row(song) for song in distance]
    return "JPEG", Image.fromarray(np.concatenate(rows)), WIDTH


def envelope_row(distance: np.ndarray) -> np.ndarray:
    """[T] -> one song's bars [height, width, 3]."""
    columns = np.linspace(0, len(distance), WIDTH, endpoint=False).astype(int)
    tall = distance[columns] / max(float(distance.max()), 1e-6) * (ROW_HEIGHT / 2 - 4)
    from_middle = np.abs(np.arange(ROW_HEIGHT) - ROW_HEIGHT / 2 + 0.5)[:, None]
    return np.where((from_middle <= np.maximum(tall, 0.5))[..., None], BAR, GROUND).astype(np.uint8)
