"""What travels on our own sockets, and the sockets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io
from torch import Tensor

from ...acestep_core.checkpoints.variants import Variant
from ...acestep_core.errors import InvalidInputError
from ...acestep_core.networks.config import ModelConfig
from ...acestep_core.planner import planner as core_planner
from ...acestep_core.sampling.dcw import WaveletCorrection
from ...acestep_core.sampling.noise import NoisePlan
from ...acestep_core.sampling.velocity import Filters
from ...acestep_core.silence import Silence
from ...acestep_core.text.code_text import MAX_SONGS
from ...acestep_core.text.conditions import Condition, Conditioner
from ...acestep_core.text.lrc import TimedLyrics
from ...acestep_core.timebase import seconds_of_codes
from ..host.runtime import Managed, rest_device
from ..host.values import RULES, Rule, label, of_kind

Model = io.Custom("ACEGRAPH_MODEL")
TextEncoder = io.Custom("ACEGRAPH_TEXT_ENCODER")
Vae = io.Custom("ACEGRAPH_VAE")
Conditions = io.Custom("ACEGRAPH_CONDITIONS")
Codes = io.Custom("ACEGRAPH_CODES")
Planner = io.Custom("ACEGRAPH_PLANNER")
Noise = io.Custom("ACEGRAPH_NOISE")
Extras = io.Custom("ACEGRAPH_EXTRAS")
Times = io.Custom("ACEGRAPH_TIMES")


class Applied(NamedTuple):
    """An adapter in a network, for reports and tags."""

    name: str
    strength: float
    in_turn: bool  # what it does depends on the adapters before it

    def __str__(self) -> str:
        return f"{self.name} x {self.strength:g}"


@dataclass(frozen=True, eq=False)
class ModelHandle:
    """What `Model` carries: the transformer, the semantic codec, and what belongs to both."""

    transformer: Managed
    codec: Managed | None  # None: the checkpoint brings none
    config: ModelConfig
    variant: Variant
    silence: Silence
    name: str
    adapters: tuple[Applied, ...] = ()  # in the order in which they were loaded
    lyric_heads: Any = None  # as the checkpoint's config.json says it, unchecked

    @property
    def played_with(self) -> str:
        """The adapters, in words."""
        return ", ".join(map(str, self.adapters))

    def __repr__(self) -> str:
        return f"<ACE-Step {self.variant.value} {self.name}>"


@dataclass(frozen=True, eq=False)
class TextHandle:
    """What `TextEncoder` carries: Qwen3 and the condition encoder in one network, and what writes conditions with them."""

    encoders: Managed
    conditioner: Conditioner
    is_turbo: bool = False  # whether the checkpoint that its condition encoder comes from is distilled
    adapters: tuple[Applied, ...] = ()  # in the order in which they were loaded

    def __repr__(self) -> str:
        return f"<ACE-Step text encoder {self.encoders}>"


@dataclass(frozen=True, eq=False)
class VaeHandle:
    """What `Vae` carries."""

    vae: Managed

    def __repr__(self) -> str:
        return f"<ACE-Step VAE {self.vae}>"


@dataclass(frozen=True, eq=False)
class PlannerHandle:
    """What `Planner` carries: the language model, with what it takes to ask it, and how it may run."""

    managed: Managed
    planner: core_planner.Planner
    name: str
    record: bool = True  # whether its steps may be captured as a CUDA graph
    adapters: tuple[Applied, ...] = ()  # in the order in which they were loaded

    def __repr__(self) -> str:
        return f"<ACE-Step planner {self.name} {self.managed}>"


ConditionList = tuple[Condition, ...]  # what `Conditions` carries: one item per song
TimesList = tuple[TimedLyrics, ...]  # what `Times` carries: one item per song


@dataclass(frozen=True, eq=False)
class CodeList:
    """What `Codes` carries: audio codes, one tensor [N] per song."""

    items: tuple[Tensor, ...]

    @classmethod
    def of(cls, songs: Iterable[Sequence[int]]) -> "CodeList":
        """Numbers as the wire carries them."""
        return cls(tuple(torch.tensor(song, device=rest_device()) for song in songs))

    def __repr__(self) -> str:
        return f"<audio codes {[len(item) for item in self.items]}>"

    @property
    def longest(self) -> int:
        """How many codes the longest song has."""
        return max(len(item) for item in self.items)

    def numbers(self) -> list[list[int]]:
        """What the wire carries as numbers."""
        return [item.tolist() for item in self.items]

    def lengths(self) -> list[str]:
        """How long the songs are, in codes and in seconds, a sentence each."""
        sizes = [f"{len(item)} codes, {seconds_of_codes(len(item)):g} s" for item in self.items]
        if len(sizes) == 1:
            return [f"{sizes[0]}."]
        return [f"Song {number}: {size}." for number, size in enumerate(sizes, start=1)]


@dataclass(frozen=True)
class NoiseChoice:
    """What `Noise` carries: which noise each song starts from."""

    plan: NoisePlan


@dataclass(frozen=True)
class ExtraSettings:
    """What `Extras` carries: the sampler's rarely used settings."""

    filters: Filters
    wavelet: WaveletCorrection | None
    bf16_schedule: bool


NO_EXTRAS = ExtraSettings(Filters(), None, bf16_schedule=False)


def of_each_song(kind: type) -> Rule:
    """The rule of a socket that carries something of a class for each of as many songs as one batch can have."""

    def carried(widget: io.Input, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, tuple) or not all(isinstance(item, kind) for item in value):
            return of_kind(kind)(widget, value)
        if len(value) > MAX_SONGS:
            raise InvalidInputError(
                f"The {label(widget)} are of {len(value)} songs, and one batch has up to {MAX_SONGS}.",
                "Play them in several runs.",
            )
        return value

    return carried


RULES |= {
    Conditions.io_type: of_each_song(Condition),
    Times.io_type: of_each_song(TimedLyrics),
    **{
        wire.io_type: of_kind(kind)
        for wire, kind in (
            (Model, ModelHandle),
            (TextEncoder, TextHandle),
            (Vae, VaeHandle),
            (Codes, CodeList),
            (Planner, PlannerHandle),
            (Noise, NoiseChoice),
            (Extras, ExtraSettings),
        )
    },
}
