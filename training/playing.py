"""Plays the exported checkpoint through the plugin's own loader and sampler, in a few lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from acestep_core.checkpoints.checkpoint import Checkpoint
from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import (
    load_codec,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
)
from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.oobleck import Oobleck
from acestep_core.sampling.context import extended
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.run import SamplerParts, generate_song
from acestep_core.sampling.settings import Settings
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition, Conditioner
from acestep_core.text.prompts import INSTRUMENTAL, Brief
from acestep_core.text.tasks import TASKS
from acestep_core.timebase import TIMBRE_FRAMES

CHECKPOINT = Path(__file__).parent / "tiny"
SETTINGS = Settings(steps=24, guidance=1.0)


@dataclass(frozen=True, slots=True)
class Studio:
    """All parts of a loaded checkpoint."""

    parts: SamplerParts
    conditioner: Conditioner
    codec: AudioCodec
    vae: Oobleck
    settings: Settings = SETTINGS

    @classmethod
    def opened(cls, folder: Path = CHECKPOINT) -> "Studio":
        """Load a checkpoint of any layout."""
        return cls.of(open_checkpoint(folder))

    @classmethod
    def of(cls, files: Checkpoint) -> "Studio":
        """Load every part in fp32."""
        vae = load_vae(files, torch.float32)
        silence = load_silence(files, vae)
        conditioner = Conditioner(
            load_tokenizer(files),
            load_text_encoder(files, dtype=torch.float32),
            load_condition_encoder(files, dtype=torch.float32),
            silence,
        )
        parts = SamplerParts(load_transformer(files, dtype=torch.float32), silence)
        return cls(parts, conditioner, load_codec(files, dtype=torch.float32), vae)

    @property
    def silence(self) -> Silence:
        """The checkpoint's."""
        return self.parts.silence

    def told(
        self, brief: Brief, task: str = "text2music", reference: Tensor | None = None, codes: bool = False
    ) -> Condition:
        """The condition of one song; reference: latents [750, 64] of a sound."""
        references = None if reference is None else reference[None]
        return self.conditioner.encode(brief, TASKS[task], references, has_codes=codes)[0]

    def play(
        self,
        conditions: Sequence[Condition],
        source: Tensor,
        seeds: Sequence[int],
        mask: Tensor | None = None,
    ) -> Tensor:
        """Latents [B, T, 64] of a batch; source: [B, T, 64]."""
        job = Job(list(conditions), source, NoisePlan(tuple(seeds)), mask)
        return generate_song(self.parts, job, self.settings.resolved(turbo=False))

    def compose(self, briefs: Sequence[Brief], seconds: float, seeds: Sequence[int]) -> Tensor:
        """Text to music: one song per brief."""
        frames = round(seconds * 25)
        source = self.silence.frames(frames).expand(len(briefs), -1, -1)
        return self.play([self.told(brief) for brief in briefs], source, seeds)

    def repaint(self, song: Tensor, brief: Brief, first: int, last: int, seed: int) -> Tensor:
        """The frames [first, last) of a song [1, T, 64] anew."""
        mask = torch.zeros(1, song.shape[1])
        mask[:, first:last] = 1
        return self.play([self.told(brief, "repaint")], song, [seed], mask)

    def extend(self, song: Tensor, brief: Brief, left: int, right: int, seed: int) -> Tensor:
        """The song with more frames on both sides."""
        longer, mask = extended(song, left, right, self.silence)
        return self.play([self.told(brief, "extend")], longer, [seed], mask)

    def cover(self, song: Tensor, brief: Brief, seed: int) -> Tensor:
        """Another sound for the same music, by way of its codes."""
        codes = self.codec.encode(song, self.silence.stored)
        hints = self.codec.hints(codes, torch.float32)[:, : song.shape[1]]
        return self.play([self.told(brief, "cover", codes=True)], hints, [seed])

    def work(self, task: str, source: Tensor, brief: Brief, tracks: tuple[str, ...], seed: int) -> Tensor:
        """Extract, lego or complete on a source [1, T, 64]."""
        return self.play([self.told(replace(brief, tracks=tracks), task)], source, [seed])

    def sound(self, latents: Tensor) -> Tensor:
        """Audio [B, 2, S]."""
        return self.vae.decode(latents)

    def heard(self, sound: Tensor) -> Tensor:
        """Latents [B, T, 64] of audio."""
        return self.vae.encode(sound).mean

    def reference(self, sound: Tensor) -> Tensor:
        """Audio [1, 2, S] as a timbre reference [750, 64], repeated where it is short."""
        latents = self.heard(sound)[0]
        rounds = -(-TIMBRE_FRAMES // len(latents))
        return latents.repeat(rounds, 1)[:TIMBRE_FRAMES]


def instrumental(caption: str, bpm: int, key: str, seconds: float, meter: str = "4") -> Brief:
    """A brief without singing."""
    return Brief(caption, INSTRUMENTAL, "unknown", bpm, key, meter, seconds)
