"""Recordings in ComfyUI's folders, drawn for the page before any run: it asks for their peaks, and never loads them."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from aiohttp import web
from server import PromptServer
from torch import Tensor

from ...acestep_core.errors import AceStepError, InvalidAudioError
from ...acestep_core.sound.peaks import peaks_of_parts
from .folders import viewed_file

if TYPE_CHECKING:
    from av import AudioFrame

ADDRESS = "/acegraph/peaks"
LENGTH = "Acegraph-Seconds"  # peaks know it to a hundredth only
MOST_SECONDS = 1200
one_at_a_time = asyncio.Lock()  # a page with many nodes asks for as many at once


class TooLongError(InvalidAudioError):
    """More sound than is drawn."""


class Bounded:
    """Parts [C, S] of a sound as they come, and how many samples came; the end of an endless file is not waited for."""

    def __init__(self, parts: Iterable[Tensor], most: int) -> None:
        self._parts, self._most, self.samples = parts, most, 0

    def __iter__(self) -> Iterator[Tensor]:
        for part in self._parts:
            self.samples += part.shape[-1]
            if self.samples > self._most:
                raise TooLongError(
                    f"The file lasts more than {MOST_SECONDS // 60} minutes.", "Choose a shorter one."
                )
            yield part


def offer() -> None:
    """Let the page ask the server that runs, if one does."""
    if (running := getattr(PromptServer, "instance", None)) is not None:
        running.routes.get(ADDRESS)(answered)


async def answered(request: web.Request) -> web.Response:
    """The peaks of what /view would send; 404 if it is not there, 413 if it is too long, 415 if it is no sound."""
    asked = (request.rel_url.query.get(part, "") for part in ("filename", "subfolder", "type"))
    path = viewed_file(*asked)
    if path is None:
        return web.Response(status=404)
    try:
        async with one_at_a_time:
            peaks, seconds = await asyncio.to_thread(drawn, path)
    except TooLongError as fault:
        return web.Response(status=413, text=str(fault))
    except AceStepError as fault:
        return web.Response(status=415, text=str(fault))
    return web.Response(body=peaks, headers={"Cache-Control": "no-store", LENGTH: repr(seconds)})


def drawn(path: Path) -> tuple[bytes, float]:
    """The peaks of a file, of which a few seconds are in memory at a time; and its length in seconds."""
    import av  # noqa: PLC0415 - takes a while
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(str(path)) as opened:
            if not opened.streams.audio:
                raise InvalidAudioError(f"There is no sound in {path.name}.", "Choose another file.")
            stream = opened.streams.audio[0]
            parts = Bounded(map(samples_of, opened.decode(stream)), MOST_SECONDS * stream.rate)
            return peaks_of_parts(parts, stream.rate), parts.samples / stream.rate
    except (FFmpegError, ValueError) as fault:
        raise InvalidAudioError(f"{path.name} cannot be read as sound.", "Choose another file.") from fault


def samples_of(frame: "AudioFrame") -> Tensor:
    """[C, S] in -1 to 1 of a piece that is decoded, whether its channels lie side by side or in turns."""
    numbers = torch.from_numpy(frame.to_ndarray())
    channels = numbers if frame.format.is_planar else numbers.view(-1, frame.layout.nb_channels).T
    if numbers.dtype == torch.uint8:
        return channels / 128 - 1
    if numbers.is_floating_point():
        return channels.float()
    return channels.float() / -torch.iinfo(numbers.dtype).min
