"""The diffusion transformer: noisy latents, task context and conditions in, velocity out."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from .attention import Attention, KeyValue, Positions
from .config import SLIDING, ModelConfig, StackConfig
from .layers import AdaLN, LayerOps, SwiGLU, TimestepEmbedding


class Modulation(NamedTuple):
    """What one moment t tells the network: six rows per block, two for the output."""

    blocks: Tensor  # [layers, 6, D]: shift, scale, gate of the attention, then of the MLP
    output: Tensor  # [2, D]: shift, scale


class Conditions(NamedTuple):
    """What the blocks look at by cross-attention, one entry per block."""

    given: tuple[KeyValue, ...]
    null: tuple[Tensor, ...] | None = None  # [1, D] each: the unconditional branch gets the same everywhere

    @property
    def branches(self) -> int:
        """2 when the unconditional branch is evaluated along with the conditional one."""
        return 1 if self.null is None else 2


class DiTBlock(nn.Module):
    """Self-attention, cross-attention and MLP; the first and last are modulated by the timestep."""

    def __init__(self, stack: StackConfig, ops: LayerOps) -> None:
        super().__init__()
        self.self_attn_norm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.self_attn = Attention(stack, ops)
        self.cross_attn_norm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.cross_attn = Attention(stack, ops)
        self.mlp_norm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.mlp = SwiGLU(stack.width, stack.mlp_width, ops)
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 6, stack.width))

    def forward(
        self, x: Tensor, modulation: Tensor, positions: Positions, given: KeyValue, null: Tensor | None
    ) -> Tensor:
        """x: [B, N, D] audio, conditional items first; modulation: [6, D]; null: [1, D] for the second half."""
        rows = modulation.unbind(0)
        attn, mlp = AdaLN(*rows[:3]), AdaLN(*rows[3:])

        x = torch.addcmul(x, attn.gate, self.self_attn(attn.apply(self.self_attn_norm(x)), positions))
        x = self._look_at(x, given, null)
        return torch.addcmul(x, mlp.gate, self.mlp(mlp.apply(self.mlp_norm(x))))

    def _look_at(self, x: Tensor, given: KeyValue, null: Tensor | None) -> Tensor:
        if null is None:
            return x + self.cross_attn.look_at(given, self.cross_attn_norm(x))
        x, unconditional = x.chunk(2)
        return torch.cat((x + self.cross_attn.look_at(given, self.cross_attn_norm(x)), unconditional + null))


class DiffusionTransformer(nn.Module):
    """All blocks between patching two frames into a token and taking the token apart again."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        super().__init__()
        stack, patch, latent = config.decoder_stack, config.patch_size, config.audio_acoustic_hidden_dim
        self.stack, self.patch = stack, patch
        self.slides = tuple(kind == SLIDING for kind in config.layer_types)
        self.proj_in = nn.Sequential(
            Rearrange("b t c -> b c t"),
            ops.Conv1d(3 * latent, stack.width, kernel_size=patch, stride=patch),
            Rearrange("b d n -> b n d"),
        )
        self.time_embed = TimestepEmbedding(stack.width, ops)
        self.time_embed_r = TimestepEmbedding(stack.width, ops)
        self.condition_embedder = ops.Linear(config.encoder_hidden_size, stack.width)
        self.layers = nn.ModuleList(DiTBlock(stack, ops) for _ in range(config.num_hidden_layers))
        self.norm_out = ops.RMSNorm(stack.width, eps=stack.eps)
        self.proj_out = nn.Sequential(
            Rearrange("b n d -> b d n"),
            ops.ConvTranspose1d(stack.width, latent, kernel_size=patch, stride=patch),
            Rearrange("b c t -> b t c"),
        )
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 2, stack.width))
        self.null_condition_emb = nn.Parameter(torch.zeros(1, 1, config.encoder_hidden_size))

    def forward(
        self, x: Tensor, context: Tensor, modulation: Modulation, conditions: Conditions, positions: Positions
    ) -> Tensor:
        """x: [B, T, C] noisy, context: [B, T, 2C] -> velocity [B, T, C], or [2B, T, C] with both branches."""
        frames = x.shape[1]
        x = F.pad(torch.cat((context, x), -1), (0, 0, 0, -frames % self.patch))
        x = repeat(self.proj_in(x), "b n d -> (branch b) n d", branch=conditions.branches).contiguous()

        nulls = conditions.null or (None,) * len(self.layers)
        for index, layer in enumerate(self.blocks()):
            places = positions if self.slides[index] else positions.everywhere()
            x = layer(x, modulation.blocks[index], places, conditions.given[index], nulls[index])

        shift, scale = modulation.output.unbind(0)
        return self.proj_out(torch.addcmul(shift, self.norm_out(x), scale))[:, :frames]

    def blocks(self) -> list[DiTBlock]:
        """The layers in order."""
        return [cast(DiTBlock, layer) for layer in self.layers]

    def positions(self, frames: int, like: Tensor) -> Positions:
        """Places of a song of so many frames; the same for every step of a run."""
        return Positions.of(-(-frames // self.patch), self.stack, like)

    def modulations(self, times: Tensor, ends: Tensor | None = None) -> list[Modulation]:
        """One entry per moment in `times` [S]; `ends` (the r of a mean flow) is `times` itself in inference."""
        lag = torch.zeros_like(times) if ends is None else times - ends
        embedding, rows = self.time_embed(times)
        embedding_r, rows_r = self.time_embed_r(lag)
        tables = torch.cat([layer.scale_shift_table.to(rows) for layer in self.blocks()])
        blocks = tables + (rows + rows_r)[:, None]
        blocks[:, :, 1::3] += 1  # both scales, which are applied as 1 + scale
        output = self.scale_shift_table.to(rows) + (embedding + embedding_r)[:, None]
        output[:, 1] += 1
        return [Modulation(*pair) for pair in zip(blocks, output, strict=True)]

    def remember(self, items: Sequence[Tensor]) -> Conditions:
        """Cross-attention memory of a run: one condition sequence [L, E] per song, of any lengths."""
        padded = self.condition_embedder(nn.utils.rnn.pad_sequence(list(items), batch_first=True))
        lengths = [len(item) for item in items]
        bias = None if len(set(lengths)) == 1 else padding_bias(lengths, padded)
        return Conditions(tuple(layer.cross_attn.remember(padded, bias) for layer in self.blocks()))

    def remember_null(self, like: Tensor) -> tuple[Tensor, ...]:
        """What each block's cross-attention gives under the learned null condition: one constant row."""
        row = self.condition_embedder(self.null_condition_emb[0].to(like))
        return tuple(layer.cross_attn.constant(row) for layer in self.blocks())


def padding_bias(lengths: Sequence[int], like: Tensor) -> Tensor:
    """[B, 1, 1, M] additive: hides what follows the end of each sequence of `like` [B, M, D]."""
    bias = torch.zeros(like.shape[:2], dtype=like.dtype, device=like.device)
    for row, length in zip(bias, lengths, strict=True):
        row[length:] = torch.finfo(like.dtype).min
    return rearrange(bias, "b m -> b 1 1 m")
