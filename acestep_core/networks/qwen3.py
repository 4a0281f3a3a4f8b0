"""Sizes of the Qwen3 networks: text encoder and planner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UnsupportedCheckpointError
from .config import CONFIG_AGAIN, DEFAULT_ROPE_THETA, StackConfig, rope_theta_of
from .fields import QUOTED, picked

TEXT_FOLDER, TEXT_FILE = "Qwen3-Embedding-0.6B", "qwen_0.6b_ace15.safetensors"
QWEN_EPS = 1e-6  # a file without config.json does not carry it


@dataclass(frozen=True, slots=True)
class Qwen3Sizes:
    """Sizes of a Qwen3 network, named as in its `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float

    @classmethod
    def from_json(
        cls, raw: Mapping[str, Any], part: str = "text encoder", folder: str = TEXT_FOLDER
    ) -> "Qwen3Sizes":
        """Pick our fields out of the config.json of `part`; what we do not compute is refused by name."""
        lacking = f"Point the loader at the folder {folder} that belongs to ACE-Step 1.5."
        if raw.get("model_type", "qwen3") != "qwen3":
            raise UnsupportedCheckpointError(
                f"The {part} is a {raw['model_type']!s:.{QUOTED}}, not a qwen3.", lacking
            )
        given = {**raw, "rope_theta": rope_theta_of(raw)}
        values = picked(cls, given, f"The {part}'s config.json", lacking, CONFIG_AGAIN)
        rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, Mapping) else rope
        foreign = {
            "attention_bias": raw.get("attention_bias", False),
            "use_sliding_window": raw.get("use_sliding_window", False),
            "hidden_act": raw.get("hidden_act", "silu") != "silu",
            "rope_type": kind != "default",
        }
        if any(foreign.values()):
            raise UnsupportedCheckpointError(
                f"The {part} wants an unknown {', '.join(name for name, is_so in foreign.items() if is_so)}.",
                f"Use the {folder} that belongs to ACE-Step 1.5.",
            )
        return cls(**values)

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], part: str = "text encoder", file: str = TEXT_FILE
    ) -> "Qwen3Sizes":
        """Read the sizes off tensor shapes, keys without a leading `model.`."""
        attention, mlp = "layers.0.self_attn.", "layers.0.mlp."
        needed = ("embed_tokens.weight", mlp + "gate_proj.weight")
        needed += tuple(f"{attention}{name}.weight" for name in ("q_norm", "q_proj", "k_proj"))
        missing = [key for key in needed if key not in shapes]
        if missing:
            raise UnsupportedCheckpointError(
                f"The {part} lacks {', '.join(missing)}.", f"Choose a Qwen3 {part} file, such as {file}."
            )
        vocabulary, width = shapes["embed_tokens.weight"]
        head_dim = shapes[attention + "q_norm.weight"][0]
        return cls(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=shapes[mlp + "gate_proj.weight"][0],
            num_hidden_layers=len({key.split(".")[1] for key in shapes if key.startswith("layers.")}),
            num_attention_heads=shapes[attention + "q_proj.weight"][0] // head_dim,
            num_key_value_heads=shapes[attention + "k_proj.weight"][0] // head_dim,
            head_dim=head_dim,
            rms_norm_eps=QWEN_EPS,
            rope_theta=DEFAULT_ROPE_THETA,
        )


def stack_of(sizes: Qwen3Sizes) -> StackConfig:
    """The layers of a Qwen3, in our words."""
    return StackConfig(
        width=sizes.hidden_size,
        mlp_width=sizes.intermediate_size,
        heads=sizes.num_attention_heads,
        kv_heads=sizes.num_key_value_heads,
        head_dim=sizes.head_dim,
        eps=sizes.rms_norm_eps,
        theta=sizes.rope_theta,
        window=None,
    )
