"""Sizes of the model: read from `config.json`, or off the shapes of a file that carries none."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import UnsupportedCheckpointError
from .fields import MOST_LAYERS, QUOTED, picked

SLIDING = "sliding_attention"
FULL = "full_attention"
DEFAULT_ROPE_THETA = 1e6
PUBLISHED: Mapping[str, Any] = MappingProxyType(  # the same in every checkpoint, and not to be seen in shapes
    {
        "rms_norm_eps": 1e-6,
        "rope_theta": DEFAULT_ROPE_THETA,
        "use_sliding_window": True,
        "sliding_window": 128,
        "timbre_fix_frame": 750,
        "fsq_input_levels": (8, 8, 8, 5, 5, 5),
    }
)
PUBLISHED_CODEC: Mapping[str, Any] = MappingProxyType(  # a diffusers folder may come without its codec
    {"num_attention_pooler_hidden_layers": 2, "pool_window_size": 5}
)
CONFIG_AGAIN = "Download the checkpoint's config.json again."
LACKING = "Choose an ACE-Step 1.5 folder; version 1 and other models have another layout."
ENCODER_WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")

AUDIO_CODES = 64_000  # codes run from 0 up to below this
TEXT_ROWS = 151_669  # of Qwen3-Embedding's table


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Sizes of one stack of transformer layers."""

    width: int
    mlp_width: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    theta: float
    window: int | None  # a token sees this many neighbours on each side in the sliding layers; None: all


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of transformer, condition encoder, tokenizer and detokenizer, named as in `config.json`."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    use_sliding_window: bool
    sliding_window: int
    layer_types: tuple[str, ...]
    patch_size: int
    audio_acoustic_hidden_dim: int  # latent channels
    text_hidden_dim: int
    timbre_hidden_dim: int
    timbre_fix_frame: int
    num_lyric_encoder_hidden_layers: int
    num_timbre_encoder_hidden_layers: int
    num_attention_pooler_hidden_layers: int
    pool_window_size: int  # frames per audio code
    fsq_dim: int
    fsq_input_levels: tuple[int, ...]
    encoder_hidden_size: int
    encoder_intermediate_size: int
    encoder_num_attention_heads: int
    encoder_num_key_value_heads: int

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "ModelConfig":
        """Pick our fields out of a parsed config.json; unknown keys are ignored, missing ones are an error."""
        refuse_unknown_arithmetic(raw)
        widths = {name: raw.get(f"encoder_{name}") or raw.get(name) for name in ENCODER_WIDTHS}
        given = {
            **raw,
            "rope_theta": rope_theta_of(raw),
            **{f"encoder_{name}": width for name, width in widths.items()},
        }
        config = cls(**picked(cls, given, "config.json", LACKING, CONFIG_AGAIN))
        config.check()
        return config

    @classmethod
    def from_components(
        cls, transformer: Mapping[str, Any], encoder: Mapping[str, Any], codec: Mapping[str, Any] | None
    ) -> "ModelConfig":
        """Put together what the diffusers layout says in the config.json of transformer, encoder and tokenizer."""
        widths = {f"encoder_{name}": encoder.get(name) for name in ENCODER_WIDTHS}
        layers = transformer.get("num_hidden_layers")
        kinds = alternating(
            layers if type(layers) is int and layers <= MOST_LAYERS else 1
        )  # else: refused below
        said = {name: value for name, value in transformer.items() if value is not None}
        codec = {"fsq_dim": encoder.get("hidden_size"), **PUBLISHED_CODEC} if codec is None else codec
        return cls.from_json({**PUBLISHED, **codec, **encoder, "layer_types": kinds, **said, **widths})

    def check(self) -> None:
        """Refuse sizes that contradict one another."""
        deepest_encoder = max(
            self.num_lyric_encoder_hidden_layers,
            self.num_timbre_encoder_hidden_layers,
            self.num_attention_pooler_hidden_layers,
        )
        faults = {
            "layer_types does not name every layer": (
                len(self.layer_types) != self.num_hidden_layers or deepest_encoder > len(self.layer_types)
            ),
            "layer_types names an unknown kind": bool(set(self.layer_types) - {SLIDING, FULL}),
            "num_attention_heads is no multiple of num_key_value_heads": bool(
                self.num_attention_heads % self.num_key_value_heads
                or self.encoder_num_attention_heads % self.encoder_num_key_value_heads
            ),
            "head_dim is odd": bool(self.head_dim % 2),
        }
        for fault, present in faults.items():
            if present:
                raise UnsupportedCheckpointError(f"config.json contradicts itself: {fault}.", CONFIG_AGAIN)

    @property
    def window(self) -> int | None:
        """Reach of the sliding layers in tokens, None when the checkpoint does without."""
        return self.sliding_window if self.use_sliding_window else None

    def slides(self, depth: int) -> tuple[bool, ...]:
        """Which of the first `depth` layers of any stack slide: transformer and encoders follow one list."""
        return tuple(self.layer_types[index] == SLIDING for index in range(depth))

    @property
    def decoder_stack(self) -> StackConfig:
        """Layers of the diffusion transformer."""
        return StackConfig(
            self.hidden_size,
            self.intermediate_size,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
            self.rms_norm_eps,
            self.rope_theta,
            self.window,
        )

    @property
    def encoder_stack(self) -> StackConfig:
        """Layers of the lyric and timbre encoders, the tokenizer and the detokenizer."""
        return StackConfig(
            self.encoder_hidden_size,
            self.encoder_intermediate_size,
            self.encoder_num_attention_heads,
            self.encoder_num_key_value_heads,
            self.head_dim,
            self.rms_norm_eps,
            self.rope_theta,
            self.window,
        )


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """Sizes of the Oobleck VAE, named as in its `config.json`."""

    audio_channels: int
    encoder_hidden_size: int
    downsampling_ratios: tuple[int, ...]
    channel_multiples: tuple[int, ...]
    decoder_channels: int
    decoder_input_channels: int

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "VaeConfig":
        """Pick our fields out of a parsed config.json of the VAE folder."""
        return cls(**picked(cls, raw, "The VAE's config.json", LACKING, CONFIG_AGAIN))


def alternating(layers: int) -> tuple[str, ...]:
    """Kinds of so many layers in every published checkpoint: sliding first."""
    return tuple(FULL if index % 2 else SLIDING for index in range(layers))


def refuse_unknown_arithmetic(raw: Mapping[str, Any]) -> None:
    """What a config.json may ask for and no published checkpoint does is not computed here, so it is refused."""
    asked = {
        "attention_bias": raw.get("attention_bias"),
        "rope_scaling": raw.get("rope_scaling"),
        "hidden_act": raw.get("hidden_act", "silu") != "silu",
        "fsq_input_num_quantizers": raw.get("fsq_input_num_quantizers", 1) != 1,
    }
    if wanted := [f"{name} = {raw[name]!s:.{QUOTED}}" for name, is_so in asked.items() if is_so]:
        raise UnsupportedCheckpointError(
            f"config.json asks for {', '.join(wanted)}, which no ACE-Step 1.5 model uses.",
            "Choose an ACE-Step 1.5 checkpoint.",
        )


def rope_theta_of(raw: Mapping[str, Any]) -> Any:
    """The rotary base: top level in files of transformers 4, inside `rope_parameters` in files of 5; not yet checked."""
    nested = raw.get("rope_parameters")
    inside = nested.get("rope_theta") if isinstance(nested, Mapping) else None
    return raw.get("rope_theta") or inside or DEFAULT_ROPE_THETA
