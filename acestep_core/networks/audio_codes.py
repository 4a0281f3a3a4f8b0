"""The semantic tokenizer: 25 Hz latents to 5 Hz audio codes, and codes back to latents ("hints")."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ..errors import InvalidInputError
from .condition_encoder import Encoder
from .config import ModelConfig, StackConfig
from .layers import LayerOps


class FullPrecisionLinear(nn.Module):
    """A small Linear that computes in fp32 whatever the file's dtype: near a code's edge bf16 picks another code."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width_out, width_in))
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width_in] -> fp32 [..., width_out]."""
        x = x.float()
        return F.linear(x, self.weight.to(x), self.bias.to(x))


class FiniteScalarQuantizer(nn.Module):
    """Each of six numbers is rounded to a few levels; the six digits together are the code."""

    def __init__(self, width: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.digit_worths = tuple(math.prod(levels[:i]) for i in range(len(levels)))
        self.size = math.prod(levels)
        self.project_in = FullPrecisionLinear(width, len(levels))
        self.project_out = FullPrecisionLinear(len(levels), width)

    def encode(self, x: Tensor) -> Tensor:
        """x: [..., W] -> codes [...] int64."""
        return self.round(self.project_in(x))

    def decode(self, codes: Tensor) -> Tensor:
        """codes: [...] -> fp32 [..., W]."""
        return self.project_out(self.values(codes))

    def round(self, z: Tensor) -> Tensor:
        """z: [..., 6], unbounded -> codes [...] int64."""
        steps = torch.tensor(self.levels, device=z.device, dtype=z.dtype) - 1
        bound = 1 + 1 / steps
        z = ((z / bound).tanh() * bound).clamp(-1, 1)
        digits = ((z + 1) / 2 * steps + 0.5).floor().long()
        return (digits * torch.tensor(self.digit_worths, device=z.device)).sum(-1)

    def values(self, codes: Tensor) -> Tensor:
        """codes: [...] -> the six numbers in [-1, 1], [..., 6]."""
        levels = torch.tensor(self.levels, device=codes.device)
        digits = codes[..., None] // torch.tensor(self.digit_worths, device=codes.device) % levels
        return 2 * digits / (levels - 1) - 1


class AttentionPooler(Encoder):
    """Five frames and a question token go in; what the question gathered comes out."""

    def __init__(self, stack: StackConfig, slides: Sequence[bool], ops: LayerOps) -> None:
        super().__init__(stack.width, stack, slides, ops)
        self.special_token = nn.Parameter(torch.zeros(1, 1, stack.width))

    def forward(self, x: Tensor) -> Tensor:
        """x: [G, 5, W] groups of frames -> [G, W]."""
        frames = self.embed_tokens(x)
        question = self.special_token.to(frames).expand(len(x), -1, -1)
        return self.refine(torch.cat((question, frames), 1))[:, 0]


class AudioTokenizer(nn.Module):
    """Latents to codes."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        super().__init__()
        stack = config.encoder_stack
        self.frames_per_code = config.pool_window_size
        self.audio_acoustic_proj = ops.Linear(config.audio_acoustic_hidden_dim, stack.width)
        slides = config.slides(config.num_attention_pooler_hidden_layers)
        self.attention_pooler = AttentionPooler(stack, slides, ops)
        self.quantizer = FiniteScalarQuantizer(config.fsq_dim, config.fsq_input_levels)

    def forward(self, latents: Tensor, silence: Tensor) -> Tensor:
        """latents: [B, T, C]; silence: [1, 4 or more, C], to fill the last group -> codes [B, ceil(T / 5)]."""
        batch, frames = latents.shape[:2]
        filling = silence[:, : -frames % self.frames_per_code].to(latents).expand(batch, -1, -1)
        groups = rearrange(torch.cat((latents, filling), 1), "b (n p) c -> (b n) p c", p=self.frames_per_code)
        pooled = self.attention_pooler(self.audio_acoustic_proj(groups))
        return rearrange(self.quantizer.encode(pooled), "(b n) -> b n", b=batch)


class AudioDetokenizer(Encoder):
    """Quantised vectors to latents, five frames each."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        stack = config.encoder_stack
        slides = config.slides(config.num_attention_pooler_hidden_layers)
        super().__init__(config.fsq_dim, stack, slides, ops)
        self.special_tokens = nn.Parameter(torch.zeros(1, config.pool_window_size, stack.width))
        self.proj_out = ops.Linear(stack.width, config.audio_acoustic_hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, N, W] -> latents [B, 5 N, C]."""
        questions = self.special_tokens.to(x)
        frames = repeat(self.embed_tokens(x), "b n w -> (b n) p w", p=questions.shape[1]) + questions
        return rearrange(self.proj_out(self.refine(frames)), "(b n) p c -> b (n p) c", b=len(x))


class AudioCodec(nn.Module):
    """Tokenizer and detokenizer, which share the quantizer's code book."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        super().__init__()
        self.tokenizer = AudioTokenizer(config, ops)
        self.detokenizer = AudioDetokenizer(config, ops)

    def encode(self, latents: Tensor, silence: Tensor) -> Tensor:
        """latents: [B, T, C] -> codes [B, ceil(T / 5)], which are melody and rhythm without the sound."""
        if latents.shape[1] == 0:
            raise InvalidInputError(
                "The latent holds no frame to take codes from.", "Connect a song of 0.04 s or more."
            )
        return self.tokenizer(latents, silence)

    def hints(self, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """codes: [B, N] -> latents [B, 5 N, C] that a cover or a planned song is built on."""
        size = self.tokenizer.quantizer.size
        if codes.numel() == 0:
            raise InvalidInputError(
                "There are no audio codes.", "Connect codes of at least one fifth of a second."
            )
        if not ((codes >= 0) & (codes < size)).all():
            raise InvalidInputError(
                f"Audio codes run from {int(codes.min())} to {int(codes.max())}; this model knows 0 to {size - 1}.",
                "Use codes made with ACE-Step 1.5.",
            )
        return self.detokenizer(self.tokenizer.quantizer.decode(codes).to(dtype))
