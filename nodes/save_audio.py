"""Songs into files: kept in the output folder, or in the temp folder to be heard in the node."""

import math
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from comfy_api.latest import io, ui
from torch import Tensor

from ..acestep_core.sound.audio_file import FORMATS, AudioFormat, encode_audio
from ..acestep_core.sound.levels import (
    CEILING,
    FULL_SCALE,
    LEVELS,
    LOSSY_CEILING,
    decibels,
    fade,
    peak_of,
)
from ..acestep_core.sound.loudness import integrated_lufs
from ..acestep_core.sound.resample import resample
from ..acestep_core.timebase import SAMPLE_RATE
from .host.audio_tags import has_room, tagged, take_tags
from .host.node import Node
from .host.output_files import FreeNames, may_hold_metadata
from .host.runtime import Bar
from .runs.shown import ListedSongs, lines_of, seeds_of, sheet_behind, told_of
from .runs.tagging import lyrics_of, one_each, workflow_of
from .wires.audio_inputs import (
    audio_input,
    conditions_input,
    finish_inputs,
    outputs,
    times_input,
)
from .wires.schema import schema
from .wires.sockets import ConditionList, TimesList
from .wires.tensors import Audio, adapters_of, raw_sound, takes_of

PREVIEW_FORMATS = ("FLAC 16-bit", "FLAC 24-bit")
SIDE_FILE, LYRICS_FILE = ".json", ".lrc"
BESIDE = {  # what is said of a file that lies beside a song
    SIDE_FILE: "Its workflow is in {}, for the frontend cannot read it out of this sound file.",
    LYRICS_FILE: "Its timed lyrics are in {}.",
}


class Finish(NamedTuple):
    """What is done to every song before it is stored."""

    level: str
    fade_in: float
    fade_out: float


class SaveAudio(Node):
    """Songs into the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphSaveAudio",
            display_name="Save Audio (ACE-Step)",
            description="Saves every song of a batch into the output folder and plays it here. Drop a saved file on the canvas to get "
            "its workflow back; beside a WAV lies a .json file for that.",
            search_aliases=[
                "export audio",
                "wav",
                "flac",
                "mp3",
                "opus",
                "acestep",
                "song",
                "listen",
                "player",
            ],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            inputs=[
                audio_input(),
                conditions_input(),
                io.String.Input(
                    "filename_prefix",
                    default="audio/ACE-Step",
                    tooltip="Name in the output folder, with folders if you like; a number is added, nothing is ever overwritten. "
                    "%year%, %month%, %day%, %hour%, %minute%, %second% and %batch_num% are filled in.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="FLAC 24-bit",
                    tooltip="FLAC and WAV keep every sample, WAV 32-bit float also above full scale. MP3 and Opus are small and lossy; "
                    f"Opus is always {SAMPLE_RATE / 1000:g} kHz.",
                ),
                *finish_inputs(),
                times_input("the tag lyrics tells it too, and an .lrc file lies beside the song."),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        audio: Audio,
        filename_prefix: str,
        format: str,
        level: str,
        fade_in: float,
        fade_out: float,
        conditions: ConditionList | None = None,
        times: TimesList = (),
    ) -> io.NodeOutput:
        form = FORMATS[format]
        finish = Finish(level, fade_in, fade_out)
        return stored(cls, audio, conditions, FreeNames(filename_prefix), form, finish, times or ())


class PreviewAudio(Node):
    """Songs to be heard, not kept."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphPreviewAudio",
            display_name="Preview Audio (ACE-Step)",
            description="Plays every song of a batch in the node. The files lie in the temp folder, which ComfyUI empties.",
            search_aliases=["play", "listen", "player", "acestep", "song"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            inputs=[
                audio_input(),
                conditions_input(),
                io.Combo.Input(
                    "format",
                    options=list(PREVIEW_FORMATS),
                    default=PREVIEW_FORMATS[0],
                    tooltip="What the player gets, and what downloading from it brings.",
                ),
                *finish_inputs(),
                times_input("a click on a line goes there."),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        audio: Audio,
        format: str,
        level: str,
        fade_in: float,
        fade_out: float,
        conditions: ConditionList | None = None,
        times: TimesList = (),
    ) -> io.NodeOutput:
        form = FORMATS[format]
        names = FreeNames(f"acegraph_{secrets.token_hex(4)}", "temp")  # a new name each time: browsers cache
        finish = Finish(level, fade_in, fade_out)
        return stored(cls, audio, conditions, names, form, finish, times or ())


def stored(
    node: type[io.ComfyNode],
    audio: Audio,
    conditions: ConditionList | None,
    names: FreeNames,
    form: AudioFormat,
    finish: Finish,
    times: TimesList = (),
) -> io.NodeOutput:
    """Store every song in a file of its own, list the files for the player, and hand the audio on."""
    songs, rate, report = finished(audio, form, finish)
    takes, lyrics = takes_of(audio, len(songs)), lyrics_of(times, len(songs))
    briefs = [
        {**brief, **({"lyrics": text} if text else {})}
        for brief, text in zip(one_each(conditions, adapters_of(audio, len(songs))), lyrics, strict=True)
    ]
    holds = may_hold_metadata()
    if not holds:
        report.append("No tags and no workflow: ComfyUI was started with --disable-metadata.")

    bar, listed, told = Bar(len(songs)), [], []
    seeds, sheet = list(seeds_of(node.hidden, takes)), sheet_behind(node.hidden)
    lines = lines_of(times, len(songs))
    for item, (song, brief) in enumerate(zip(songs, briefs, strict=True)):
        bar.move(item, len(songs))
        tags = {**brief, **take_tags(takes[item], item, len(songs), song.shape[-1] / rate)} if holds else {}
        workflow = workflow_of(node.hidden, takes, item) if holds else {}
        path, *beside = names.write(item, files_of(song, rate, form, tags, workflow, lyrics[item]))
        lufs = integrated_lufs(song, rate)
        report.append(
            f"{path.name}: {song.shape[-1] / rate:.2f} s, {loudness(lufs)}, {form.name}, {rate} Hz, {len(song)} channels."
        )
        report += [BESIDE[side.suffix].format(side.name) for side in beside]
        listed.append(ui.SavedResult(path.name, names.subfolder, io.FolderType(names.kind)))
        told.append({**told_of(song, rate, lufs), **seeds[item], "sheet": sheet, "lines": lines[item]})
    bar.move(len(songs), len(songs))
    return io.NodeOutput(audio, "\n".join(report), ui=ListedSongs(listed, told))


def files_of(
    song: Tensor,
    rate: int,
    form: AudioFormat,
    tags: Mapping[str, str],
    workflow: Mapping[str, str],
    lyrics: str,
) -> dict[str, Any]:
    """By extension, the file of a song and what lies beside it."""
    embeds = has_room(form.extension, {**workflow, **tags})
    content = encode_audio(song, rate, form)
    files = {form.extension: tagged(content, form.extension, {**workflow, **tags} if embeds else tags)}
    if workflow and not embeds:
        files[SIDE_FILE] = workflow.get("workflow", workflow.get("prompt", "{}")).encode()
    if lyrics:
        files[LYRICS_FILE] = lyrics.encode()
    return files


def finished(audio: Audio, form: AudioFormat, finish: Finish) -> tuple[Tensor, int, list[str]]:
    """[B, C, S] at a rate that the format can hold, with level and fades, the rate, and what had to be done for that."""
    level = LEVELS[finish.level]
    sound, report = raw_sound(audio), []
    songs, rate = sound.samples, sound.sample_rate
    if form.rates and rate not in form.rates:
        songs = resample(songs, rate, SAMPLE_RATE)
        report.append(f"Resampled from {rate} to {SAMPLE_RATE} Hz, which {form.name} needs.")
        rate = SAMPLE_RATE
    ceiling = LOSSY_CEILING if form.kbps else CEILING
    leveled, notes = level.leveled(songs, rate, ceiling)
    report += notes
    if form.bits or form.kbps:  # everything but float
        report += [
            f"Song {item + 1} made {decibels(peak):.2f} dB quieter, or it would clip."
            for item, peak in too_loud(leveled)
        ]
        leveled = FULL_SCALE.apply(leveled)
    return fade(leveled, finish.fade_in, finish.fade_out, rate), rate, report


def too_loud(songs: Tensor) -> list[tuple[int, float]]:
    """Songs whose peak exceeds full scale, and that peak."""
    return [(item, peak) for item, peak in enumerate(peak_of(songs).flatten().tolist()) if peak > 1]


def loudness(lufs: float | None) -> str:
    """In words."""
    if lufs is None:
        return "too short for a loudness"
    return "silent" if lufs == -math.inf else f"{lufs:.1f} LUFS"
