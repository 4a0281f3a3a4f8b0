"""What the Qwen3 text encoder of transformers makes of token ids, built and filled our way."""

from dataclasses import asdict

import torch
from torch import Tensor, nn

from .layers import LayerOps
from .qwen3 import Qwen3Sizes


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
