"""What the Qwen3 text encoder of transformers makes of token ids, built and filled our way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from .config import DEFAULT_ROPE_THETA, rope_theta_of
from .errors import UnsupportedCheckpointError
from .layers import LayerOps
from .weights import load_exactly

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
        given = {**raw, "rope_theta": rope_theta_of(raw)}
        missing = [field.name for field in fields(cls) if given.get(field.name) is None]
        if missing or raw.get("model_type", "qwen3") != "qwen3":
            raise UnsupportedCheckpointError(
                f"The {part}'s config.json lacks {', '.join(missing)}."
                if missing
                else f"The {part} is a {raw['model_type']}, not a qwen3.",
                f"Point the loader at the folder {folder} that belongs to ACE-Step 1.5.",
            )
        rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        foreign = {
            "attention_bias": raw.get("attention_bias", False),
            "use_sliding_window": raw.get("use_sliding_window", False),
            "hidden_act": raw.get("hidden_act", "silu") != "silu",
            "rope_type": rope.get("rope_type", rope.get("type", "default")) != "default",
        }
        if any(foreign.values()):
            raise UnsupportedCheckpointError(
                f"The {part} wants an unknown {', '.join(name for name, is_so in foreign.items() if is_so)}.",
                f"Use the {folder} that belongs to ACE-Step 1.5.",
            )
        return cls(**{field.name: given[field.name] for field in fields(cls)})

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


class RotaryTables(nn.Module):
    """Rotary positions without buffers, so that nothing stays hollow after a build on meta or loses precision."""

    def __init__(self, head_dim: int, theta: float) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.theta = theta

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """position_ids: [B, N] -> cosines and sines [B, N, head_dim], in the dtype and on the device of x."""
        exponent = torch.arange(0, self.head_dim, 2, device=x.device, dtype=torch.float32) / self.head_dim
        angle = position_ids[..., None].float() * (1.0 / self.theta**exponent)
        angle = torch.cat((angle, angle), -1)
        return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


class TextEncoder(nn.Module):
    """A Qwen3 network whose last hidden states describe a caption, and whose embedding table gives the lyrics."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def hidden_states(self, ids: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """ids: [1, L] -> [1, L, D] after the final norm. dtype: computing type, if the layers cast to it."""
        embedded = self.embed(ids)
        return self.model(
            inputs_embeds=embedded.to(dtype or embedded.dtype), use_cache=False
        ).last_hidden_state

    def embed(self, ids: Tensor) -> Tensor:
        """ids: [1, L] -> rows of the input embedding table [1, L, D]."""
        return self.model.get_submodule("embed_tokens")(ids)


def build_qwen3(sizes: Qwen3Sizes, ops: LayerOps) -> nn.Module:
    """A Qwen3 of transformers, made of the host's layers; its keys are the checkpoint's without `model.`."""
    from transformers import Qwen3Config, Qwen3Model

    numbers = asdict(sizes)
    # transformers 4 reads `rope_theta`, transformers 5 `rope_parameters`; each ignores the other's spelling.
    rope = {"rope_type": "default", "rope_theta": sizes.rope_theta}
    model = Qwen3Model(Qwen3Config(**numbers, rope_parameters=rope))
    model.add_module("rotary_emb", RotaryTables(sizes.head_dim, sizes.rope_theta))  # in place of its own
    if ops is not nn:
        replace_layers(model, ops)
    return model


def replace_layers(model: nn.Module, ops: LayerOps) -> None:
    """Put the host's layers in place of the plain ones, before there are any weights to lose."""
    from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

    def counterpart(layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear):
            return ops.Linear(layer.in_features, layer.out_features, bias=False)  # Qwen3 has none
        if isinstance(layer, nn.Embedding):
            return ops.Embedding(layer.num_embeddings, layer.embedding_dim)
        if isinstance(layer, Qwen3RMSNorm):
            return ops.RMSNorm(layer.weight.shape[0], eps=layer.variance_epsilon)
        return None

    assert all(weight.is_meta for weight in model.parameters()), (
        "layers are replaced before weights are assigned"
    )
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if (replacement := counterpart(child)) is not None:
                setattr(parent, name, replacement)


def load_text_encoder(
    weights: Mapping[str, Tensor], sizes: Qwen3Sizes, ops: LayerOps, dtype: torch.dtype | None = None
) -> TextEncoder:
    """Build on meta and fill with `weights`, whose keys have no leading `model.`."""
    return TextEncoder(load_exactly(lambda: build_qwen3(sizes, ops), weights, dtype))
