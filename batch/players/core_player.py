"""Songs by the core alone: a checkpoint in place of a graph, and no ComfyUI."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acestep_core.checkpoints import layouts, load
from acestep_core.interface import AUTO
from acestep_core.networks.tiling import decode_tiled
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.run import SamplerParts, generate_song
from acestep_core.sampling.settings import Settings
from acestep_core.sound.audio_file import FORMATS, encode_audio
from acestep_core.sound.levels import FULL_SCALE, PEAK
from acestep_core.text.conditions import Conditioner
from acestep_core.text.prompts import INSTRUMENTAL, KEYS, LANGUAGES, TIME_SIGNATURES, UNKNOWN_SECONDS, Brief
from acestep_core.text.tasks import TEXT2MUSIC
from acestep_core.timebase import MAX_SECONDS, SAMPLE_RATE, frames_of
from batch.graphs import Change, Graph, Widget
from batch.publish import File

SONG = "song"
TILE_FRAMES = 256
LARGEST_SEED = 2**64 - 1


def core_graph(checkpoint: Path) -> Graph:
    """The columns of a table of songs, as the widgets of a graph with one node."""
    found = [
        widget("caption", "STRING", ""),
        widget("lyrics", "STRING", ""),
        widget("instrumental", "BOOLEAN", False),
        widget("language", "COMBO", "en", options=LANGUAGES),
        widget("duration", "FLOAT", UNKNOWN_SECONDS, low=1.0, high=MAX_SECONDS),
        widget("bpm", "INT", 0, low=0),
        widget("key", "COMBO", AUTO, options=(AUTO, *KEYS)),
        widget("time_signature", "COMBO", AUTO, options=(AUTO, *TIME_SIGNATURES)),
        widget("seed", "INT", 0, low=0, high=LARGEST_SEED),
        widget("steps", "INT", 0, low=0),
        widget("shift", "FLOAT", 0.0, low=0.0),
        widget("guidance", "FLOAT", 0.0, low=0.0),
        widget("solver", "STRING", "euler"),
        widget("format", "COMBO", "FLAC 24-bit", options=tuple(FORMATS)),
    ]
    values = {one.name: one.value for one in found}
    prompt = {SONG: {"class_type": "core", "inputs": {"checkpoint": str(checkpoint.resolve()), **values}}}
    return Graph(prompt, tuple(found))


def widget(
    name: str,
    kind: str,
    value: Any,
    options: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
) -> Widget:
    """A column of a table of songs."""
    return Widget(SONG, name, (name,), kind, value, tuple(options), low, high, is_seed=name == "seed")


@dataclass(frozen=True)
class CoreRecipe:
    """A checkpoint, and where to play it."""

    checkpoint: Path
    on_gpu: bool

    def player(self, version: str) -> "CorePlayer":  # noqa: ARG002  (the core comes with this package)
        """The networks, loaded."""
        return CorePlayer(self.checkpoint, torch.device("cuda" if self.on_gpu else "cpu"))


class CorePlayer:
    """A checkpoint that stays loaded."""

    def __init__(self, path: Path, device: torch.device) -> None:
        checkpoint = layouts.open_checkpoint(path)
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        text = load.load_text_encoder(checkpoint, dtype=dtype).to(device)
        encoder = load.load_condition_encoder(checkpoint, dtype=dtype).to(device)
        self._vae = load.load_vae(checkpoint, dtype=torch.float32).to(device)
        transformer = load.load_transformer(checkpoint, dtype=dtype).to(device)
        silence = load.load_silence(checkpoint, self._vae)
        self._conditioner = Conditioner(load.load_tokenizer(checkpoint), text, encoder, silence)
        self._parts = SamplerParts(transformer, silence, dtype, device)
        self._turbo = checkpoint.model_files().variant.is_turbo
        self._values: Mapping[str, Any] = core_graph(path).prompt[SONG]["inputs"]

    def play(self, changes: Sequence[Change]) -> list[File]:
        """One song."""
        asked = {**self._values, **{change.name: change.value for change in changes}}
        form = FORMATS[asked["format"]]
        brief = brief_of(asked)
        settings = Settings(
            steps=asked["steps"], shift=asked["shift"], guidance=asked["guidance"], solver=asked["solver"]
        ).resolved(self._turbo)
        with torch.inference_mode():
            condition, _ = self._conditioner.encode(brief, TEXT2MUSIC, device=self._parts.device)
            source = self._parts.silence.frames(frames_of(asked["duration"]))
            latents = generate_song(
                self._parts, Job([condition], source=source, noise=NoisePlan((asked["seed"],))), settings
            )
            song = PEAK.apply(
                decode_tiled(self._vae, latents.to(self._parts.device), tile_frames=TILE_FRAMES)
            )
            heard = FULL_SCALE.apply(song) if form.bits or form.kbps else song
        return [File(form.extension, encode_audio(heard[0].cpu(), SAMPLE_RATE, form))]

    def close(self) -> None:
        """Nothing lies anywhere."""


def brief_of(asked: Mapping[str, Any]) -> Brief:
    """What is wanted of a song."""
    key, signature = (None if asked[field] == AUTO else asked[field] for field in ("key", "time_signature"))
    lyrics = INSTRUMENTAL if asked["instrumental"] else asked["lyrics"]
    bpm = asked["bpm"] or None
    return Brief(
        asked["caption"],
        lyrics,
        asked["language"],
        bpm=bpm,
        duration=asked["duration"],
        key=key,
        time_signature=signature,
    )
