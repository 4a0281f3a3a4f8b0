"""What the player in a node is told of every song, beside the place of its file."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comfy_api.latest import ui
from torch import Tensor

from ...acestep_core.errors import FileError
from ...acestep_core.sound.levels import decibels, peak_of
from ...acestep_core.sound.peaks import peaks_of
from ...acestep_core.text.lrc import TimedLyrics
from ..host.output_files import in_temp
from ..host.takes import sampler_of, sheet_of
from ..wires.schema import SEED_MAX

SONGS = "acegraph_songs"
WAVE = ".peaks"


class ListedSongs(ui.SavedAudios):
    """The files of a batch, and in a list beside it what is known of each song.

    ComfyUI joins the lists of a node that ran several times, key by key: every value has to be a list of one entry for
    each song.
    """

    def __init__(self, files: list[ui.SavedResult], songs: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(files)
        self.songs = songs

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), SONGS: list(self.songs)}


def told_of(song: Tensor, rate: int, lufs: float | None) -> dict[str, Any]:
    """What [C, S] is to the ear and to the eye. No loudness: it is too short, or silent."""
    peak = float(peak_of(song[None]))
    return {
        "seconds": round(song.shape[-1] / rate, 3),
        "lufs": round(lufs, 2) if lufs is not None and math.isfinite(lufs) else None,
        "peak": round(decibels(peak), 2) if peak else None,
        "wave": wave_of(song, rate),
    }


def wave_of(song: Tensor, rate: int) -> str | None:
    """The name in the temp folder of the wave that is drawn; none where it cannot be written, for the song can be heard."""
    try:
        return in_temp(peaks_of(song, rate), WAVE)
    except FileError:
        return None


def lines_of(times: Sequence[TimedLyrics], songs: int) -> list[list[tuple[float, float, str]]]:
    """For every song when each line is sung, from and to in seconds, and the line; without structure tags, as in an LRC."""
    told = [[(line.start, line.end, line.text) for line in song.sung()] for song in times]
    return told or [[] for _ in range(songs)]


def sheet_behind(hidden: Any) -> list[list[str]] | None:
    """Rows and columns of the sheet that these songs are part of.

    A node that runs once for each pair is not told which pair it is. But it runs in the order of the pairs, and ComfyUI
    joins the lists in that order: where there are as many songs as pairs, the player knows the place of each.
    """
    return sheet_of(hidden.prompt, hidden.unique_id) if hidden else None


def seeds_of(hidden: Any, takes: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    """For every song the seed that played it alone, in digits that no browser rounds, and the Sampler that would do it."""
    player = sampler_of(hidden.prompt, hidden.unique_id) if hidden else None
    for item, take in enumerate(takes):
        counted = None if player is None or player.seed is None else str(player.seed + item & SEED_MAX)
        yield {"seed": take.get("seed", counted), "sampler": player and player.node}
