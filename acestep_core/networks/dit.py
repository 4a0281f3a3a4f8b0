"""The diffusion transformer: noisy latents, task context and conditions in, velocity out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from .attention import Attention, KeyValue, Positions, joined, self_attention
from .config import ModelConfig, StackConfig
from .layers import AdaLN, LayerOps, SwiGLU, TimestepEmbedding

PIECE = 1024  # tokens, of which the halves of a layer that know no neighbours take so many at a time on a processor
BLOCK_SCALES = slice(1, None, 3)  # among a block's six rows: that of the attention, that of the MLP
OUTPUT_SCALE = 1  # among the two rows of the output


class Modulation(NamedTuple):
    """What one moment t tells the network: six rows per block, two for the output."""

    blocks: Tensor  # [layers, 6, D]: shift, scale, gate of the attention, then of the MLP
    output: Tensor  # [2, D]: shift, scale


class CrossAttended(NamedTuple):
    """What the blocks attend to by cross-attention, one entry per block; the same in every step."""

    cond: tuple[KeyValue, ...]
    uncond: tuple[Tensor, ...] | None = None  # [1, D] each; None: the unconditional branch is not asked for


class Branches(NamedTuple):
    """The velocities [B, T, C] of one evaluation: under the conditions, and without them where that was asked for."""

    cond: Tensor
    uncond: Tensor | None = None

    def to(self, like: Tensor) -> "Branches":
        """The same in the dtype and on the device of `like`."""
        return Branches(self.cond.to(like), None if self.uncond is None else self.uncond.to(like))


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
        self,
        parts: Sequence[Tensor],
        modulation: Tensor,
        positions: Positions,
        cond: KeyValue,
        uncond: Tensor | None,
    ) -> list[Tensor]:
        """parts: the audio, or pieces of it, [B, N, D] each, both branches one after the other where there are two.

        modulation: [6, D]. cond: what the conditional branch attends to. uncond: [1, D], what cross-attention gives to
        the other one.
        """
        heard = self.heard(parts, modulation, positions)
        return [self.told(part, modulation, cond, uncond) for part in heard]

    def heard(self, parts: Sequence[Tensor], modulation: Tensor, positions: Positions) -> Iterator[Tensor]:
        """The first half of a block: what the audio makes of itself, all of it in each of its parts."""
        attn = AdaLN(*modulation[:3].unbind(0))
        turned = zip(parts, positions.rotary.split([part.shape[1] for part in parts]), strict=True)
        heads = [
            self.self_attn.heads(attn.apply(self.self_attn_norm(part)), rotary) for part, rotary in turned
        ]
        for part, seen in zip(parts, self_attention(heads, positions.window), strict=True):
            yield torch.addcmul(part, attn.gate, self.self_attn.gathered(seen))

    def told(self, x: Tensor, modulation: Tensor, cond: KeyValue, uncond: Tensor | None) -> Tensor:
        """The second half: what the conditions say to it, and the MLP. [B, N, D] -> [B, N, D]."""
        mlp = AdaLN(*modulation[3:].unbind(0))
        x = self._cross(x, cond, uncond)
        return torch.addcmul(x, mlp.gate, self.mlp(mlp.apply(self.mlp_norm(x))))

    def _cross(self, x: Tensor, cond: KeyValue, uncond: Tensor | None) -> Tensor:
        if uncond is None:
            return x + self.cross_attn.cross_attend(self.cross_attn_norm(x), cond)
        x, unconditional = x.chunk(2)
        x = x + self.cross_attn.cross_attend(self.cross_attn_norm(x), cond)
        # The null condition is one row, whatever attends to it: its output is a constant that needs no attention.
        return torch.cat((x, unconditional + uncond))


def pieces(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """A long song [B, N, D] as short ones, whose MLP a processor's caches hold, and whose memory it has already.

    A card has enough to do with all of it, and weights that have to be fetched or cast would be for every piece.
    """
    return x.split(PIECE, 1) if x.device.type == "cpu" and x.dtype == weight.dtype else (x,)


class DiffusionTransformer(nn.Module):
    """All blocks between patching two frames into a token and taking the token apart again."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        super().__init__()
        stack, patch, latent = config.decoder_stack, config.patch_size, config.audio_acoustic_hidden_dim
        self.stack, self.patch = stack, patch
        self.slides = config.slides(config.num_hidden_layers)
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
        self,
        x: Tensor,
        context: Tensor,
        modulation: Modulation,
        attended: CrossAttended,
        positions: Positions,
    ) -> Branches:
        """x: [B, T, C] noisy; context: [B, T, 2C] -> velocities [B, T, C]."""
        frames, branches = x.shape[1], 1 if attended.uncond is None else 2
        x = repeat(self.tokens(x, context), "b n d -> (branch b) n d", branch=branches).contiguous()
        parts = pieces(x, self.blocks()[0].mlp.down_proj.weight)

        unconds = attended.uncond or (None,) * len(self.layers)
        for index, layer in enumerate(self.blocks()):
            at = positions.for_layer(self.slides[index])
            parts = layer(parts, modulation.blocks[index], at, attended.cond[index], unconds[index])

        shift, scale = modulation.output.unbind(0)
        x = joined([torch.addcmul(shift, self.norm_out(part), scale) for part in parts])
        velocities = self.proj_out(x)[:, :frames]
        return Branches(*velocities.chunk(branches))

    def tokens(self, x: Tensor, context: Tensor) -> Tensor:
        """Frames [B, T, C] beside their context [B, T, 2C] as what the blocks work on, [B, N, D]."""
        return self.proj_in(F.pad(torch.cat((context, x), -1), (0, 0, 0, -x.shape[1] % self.patch)))

    def blocks(self) -> list[DiTBlock]:
        """The layers in order."""
        return [cast(DiTBlock, layer) for layer in self.layers]

    def positions(self, frames: int, like: Tensor) -> Positions:
        """Positions of a song of so many frames; the same for every step of a run."""
        return Positions.of(-(-frames // self.patch), self.stack, like)

    def modulations(self, times: Tensor) -> list[Modulation]:
        """One entry per moment in `times` [S]."""
        embedding, rows = self.time_embed(times)
        # The second embedding is of t - r, the stretch that a mean flow averages over; in inference r is t.
        embedding_r, rows_r = self.time_embed_r(torch.zeros_like(times))
        tables = torch.cat([layer.scale_shift_table.to(rows) for layer in self.blocks()])
        blocks = tables + (rows + rows_r)[:, None]
        blocks[:, :, BLOCK_SCALES] += 1  # applied as 1 + scale
        output = self.scale_shift_table.to(rows) + (embedding + embedding_r)[:, None]
        output[:, OUTPUT_SCALE] += 1
        return [Modulation(*pair) for pair in zip(blocks, output, strict=True)]

    def key_values(self, sequences: Sequence[Tensor]) -> tuple[KeyValue, ...]:
        """What each block attends to under the conditions: one sequence [L, E] per song, of any lengths."""
        padded = self.condition_embedder(nn.utils.rnn.pad_sequence(list(sequences), batch_first=True))
        lengths = [len(sequence) for sequence in sequences]
        bias = None if len(set(lengths)) == 1 else padding_bias(lengths, padded)
        return tuple(layer.cross_attn.key_values(padded, bias) for layer in self.blocks())

    def null_outputs(self, like: Tensor) -> tuple[Tensor, ...]:
        """What each block's cross-attention gives under the learned null condition: one constant row [1, D]."""
        row = self.condition_embedder(self.null_condition_emb[0].to(like))
        return tuple(layer.cross_attn.constant_output(row) for layer in self.blocks())


def padding_bias(lengths: Sequence[int], like: Tensor) -> Tensor:
    """[B, 1, 1, M] additive: hides what follows the end of each sequence of `like` [B, M, D]."""
    bias = torch.zeros(like.shape[:2], dtype=like.dtype, device=like.device)
    for row, length in zip(bias, lengths, strict=True):
        row[length:] = torch.finfo(like.dtype).min
    return rearrange(bias, "b m -> b 1 1 m")
