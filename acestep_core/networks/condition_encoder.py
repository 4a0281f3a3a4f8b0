"""Lyrics, timbre and caption of one song become one sequence that the diffusion transformer looks at."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention import Attention, Positions
from .config import ModelConfig, StackConfig
from .layers import LayerOps, SwiGLU


class EncoderLayer(nn.Module):
    """Bidirectional self-attention and MLP."""

    def __init__(self, stack: StackConfig, ops: LayerOps) -> None:
        super().__init__()
        self.input_layernorm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.self_attn = Attention(stack, ops)
        self.post_attention_layernorm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.mlp = SwiGLU(stack.width, stack.mlp_width, ops)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """x: [B, N, W] -> [B, N, W]."""
        x = x + self.self_attn(self.input_layernorm(x), positions)
        return x + self.mlp(self.post_attention_layernorm(x))


class Encoder(nn.Module):
    """Embedding, layers and norm: the shape of the lyric and timbre encoders and of both audio code networks."""

    def __init__(self, width_in: int, stack: StackConfig, slides: Sequence[bool], ops: LayerOps) -> None:
        """slides: for each layer, whether it sees its window only."""
        super().__init__()
        self.stack, self.slides = stack, slides
        self.embed_tokens = ops.Linear(width_in, stack.width)
        self.layers = nn.ModuleList(EncoderLayer(stack, ops) for _ in slides)
        self.norm = ops.RMSNorm(stack.width, eps=stack.eps)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, N, width_in] -> [B, N, W]."""
        return self.refine(self.embed_tokens(x))

    def refine(self, tokens: Tensor) -> Tensor:
        """tokens: [B, N, W], already embedded -> [B, N, W]."""
        positions = Positions.of(tokens.shape[1], self.stack, tokens)
        for layer, slides in zip(self.layers, self.slides, strict=True):
            tokens = layer(tokens, positions.for_layer(slides))
        return self.norm(tokens)


class TimbreEncoder(Encoder):
    """Listens to 30 s of a reference and keeps what its first frame gathers."""

    def __init__(self, width_in: int, stack: StackConfig, slides: Sequence[bool], ops: LayerOps) -> None:
        super().__init__(width_in, stack, slides, ops)
        self.special_token = nn.Parameter(torch.zeros(1, 1, stack.width))  # stored in checkpoints, never used

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, 750, C] references -> [R, W]."""
        return super().forward(x)[:, 0]


class ConditionEncoder(nn.Module):
    """The three encoders side by side. Songs are encoded one at a time, so none sees another's padding."""

    def __init__(self, config: ModelConfig, ops: LayerOps) -> None:
        super().__init__()
        stack = config.encoder_stack
        self.text_projector = ops.Linear(config.text_hidden_dim, stack.width, bias=False)
        lyric_layers = config.slides(config.num_lyric_encoder_hidden_layers)
        timbre_layers = config.slides(config.num_timbre_encoder_hidden_layers)
        self.lyric_encoder = Encoder(config.text_hidden_dim, stack, lyric_layers, ops)
        self.timbre_encoder = TimbreEncoder(config.timbre_hidden_dim, stack, timbre_layers, ops)

    def forward(self, text: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
        """text: [1, Nt, E], lyrics: [1, Nl, E], timbre: [R, 750, C], R >= 1 -> [1, Nl + R + Nt, W]."""
        return self.join(text, lyrics, self.timbre(timbre))

    def timbre(self, references: Tensor) -> Tensor:
        """The timbre of each reference alone, to be kept where the same ones come again. [R, 750, C] -> [R, W]."""
        return self.timbre_encoder(references)

    def join(self, text: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
        """Like forward, with the timbre [R, W] already encoded."""
        return torch.cat((self.lyric_encoder(lyrics), timbre[None], self.text_projector(text)), 1)
