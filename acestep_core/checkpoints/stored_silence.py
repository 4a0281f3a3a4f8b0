"""The silence that some checkpoints store, the only pickle that is read: bounded before anything is made of it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ..errors import UnsupportedCheckpointError, is_full
from ..files import read_regular
from ..timebase import MAX_SECONDS, frames_of

SILENCE_FILE = "silence_latent.pt"
MAX_BYTES = 64 << 20  # of the file, and of what is packed in it; the published one has 4 MB
MAX_FRAMES = 4 * frames_of(MAX_SECONDS)
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
REMEDY = f"Download {SILENCE_FILE} again from the official repository, or delete it."


def read_silence(path: Path, channels: int) -> Tensor:
    """The stored silence [1, T, C]; the file lies channels first, and nothing in it is executed."""
    try:
        content = read_regular(path, MAX_BYTES)
        refuse_bomb(content)
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as fault:  # a damaged file ends in almost any exception, and none of them is promised
        if is_full(fault):
            raise
        raise UnsupportedCheckpointError(
            f"{path} is no plain tensor ({str(fault).splitlines()[0] if str(fault) else 'it ends early'}).",
            REMEDY,
        ) from fault
    if (
        not is_plain(stored)
        or stored.shape[:2] != (1, channels)
        or not holds_silence(stored, stored.shape[2])
    ):
        raise unfit(stored, str(path), f"[1, {channels}, frames]")
    return rearrange(stored.float(), "one c t -> one t c").contiguous()


def checked_silence(stored: Tensor, channels: int, origin: str) -> Tensor:
    """A silence that lies among the weights, frames first, as fp32 [1, T, C]."""
    if (
        not is_plain(stored)
        or stored.shape[::2] != (1, channels)
        or not holds_silence(stored, stored.shape[1])
    ):
        raise unfit(stored, origin, f"[1, frames, {channels}]")
    return stored.float()


def refuse_bomb(content: bytes) -> None:
    """A file that unpacks to more than a silence can be is not unpacked."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(record.file_size for record in packed.infolist()) > MAX_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_BYTES >> 20} MB")


def is_plain(stored: Any) -> bool:
    """Whether this is an ordinary tensor of three axes whose every value is stored: not sparse, not expanded, not meta."""
    return (
        type(stored) is Tensor
        and stored.layout is torch.strided
        and stored.device.type == "cpu"
        and stored.dtype in DTYPES
        and stored.ndim == 3
        and stored.untyped_storage().nbytes() >= stored.numel() * stored.element_size()
    )


def holds_silence(stored: Tensor, frames: int) -> bool:
    """Whether a plain tensor has frames, not absurdly many, and every value is finite."""
    return 1 <= frames <= MAX_FRAMES and bool(stored.isfinite().all())


def unfit(stored: Any, origin: str, wanted: str) -> UnsupportedCheckpointError:
    """What was stored instead of a silence."""
    what = f"a tensor {list(stored.shape)}" if isinstance(stored, Tensor) else f"a {type(stored).__name__}"
    return UnsupportedCheckpointError(f"{origin} holds {what}, not finite latents {wanted}.", REMEDY)
