"""Recordings in ComfyUI's folders, drawn for the page before any run: it asks for their peaks, and never loads them."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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
    """More sound than is drawn, and how much, where that is known."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(f"The file lasts more than {MOST_SECONDS // 60} minutes.", "Choose a shorter one.")
        self.seconds = seconds


class Bounded:
    """Parts [C, S] of a sound as they come, and how many samples came; the end of an endless file is not waited for."""

    def __init__(self, parts: Iterable[Tensor], most: int) -> None:
        self._parts, self._most, self.samples = parts, most, 0

    def __iter__(self) -> Iterator[Tensor]:
        for part in self._parts:
            self.samples += part.shape[-1]
            if self.samples > self._most:
                raise TooLongError
            yield part


def offer() -> None:
    """Let the page ask the server that runs, if one does."""
    running = getattr(PromptServer, "instance", None)
    if running is None or any(getattr(route, "path", "") == ADDRESS for route in running.routes):
        return  # a second copy of this pack, and aiohttp would refuse to start with both
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
        told = {} if fault.seconds is None else {LENGTH: repr(fault.seconds)}
        return web.Response(status=413, text=str(fault), headers=told)
    except AceStepError as fault:
        return web.Response(status=415, text=str(fault))
    return web.Response(body=peaks, headers={"Cache-Control": "no-store", LENGTH: repr(seconds)})


def drawn(path: Path) -> tuple[bytes, float]:
    """The peaks of a file, of which a few seconds are in memory at a time; and its length in seconds."""
    import av  # noqa: PLC0415 - takes a while
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(str(path), metadata_errors="replace") as opened:
            if not opened.streams.audio or not opened.streams.audio[0].codec_context:
                raise InvalidAudioError(f"There is no sound in {path.name}.", "Choose another file.")
            stream = opened.streams.audio[0]
            if (opened.duration or 0) > MOST_SECONDS * av.time_base:
                raise TooLongError(opened.duration / av.time_base)
            parts = Bounded(gathered(opened.decode(stream), stream.rate), MOST_SECONDS * stream.rate)
            return peaks_of_parts(parts, stream.rate), parts.samples / stream.rate
    except (FFmpegError, ValueError) as fault:
        raise InvalidAudioError(f"{path.name} cannot be read as sound.", "Choose another file.") from fault


def gathered(frames: Iterable["AudioFrame"], least: int) -> Iterator[Tensor]:
    """What was decoded, [C, S] in -1 to 1: so many samples at a time at least, for each of thousands of frames is small."""
    kept, waiting = list[np.ndarray](), 0
    for frame in frames:
        numbers = frame.to_ndarray()
        if not frame.format.is_planar:
            numbers = numbers.reshape(-1, frame.layout.nb_channels).T
        changed = kept and (len(kept[0]), kept[0].dtype) != (
            len(numbers),
            numbers.dtype,
        )  # as chained streams do
        if changed or waiting >= least:
            yield in_full_scale(np.concatenate(kept, -1))
            kept, waiting = [], 0
        kept.append(numbers)
        waiting += numbers.shape[-1]
    if waiting:
        yield in_full_scale(np.concatenate(kept, -1))


def in_full_scale(numbers: np.ndarray) -> Tensor:
    """Samples of any kind as -1 to 1."""
    samples = torch.from_numpy(numbers)
    if samples.dtype == torch.uint8:
        return samples / 128 - 1
    if samples.is_floating_point():
        return samples.float()
    return samples.float() / -torch.iinfo(samples.dtype).min
