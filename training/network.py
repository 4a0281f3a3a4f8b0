"""The networks of the tiny model, sized, started well, and run for many noise levels at once as training wants it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import layout, words
from .core import ConditionEncoder, DiffusionTransformer, ModelConfig, Qwen3Sizes, build_qwen3

WIDTH, LAYERS, PATCH = 256, 4, 2
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3Model"],
    "model_type": "qwen3",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "hidden_act": "silu",
    "attention_bias": False,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}
MODEL_CONFIG: dict[str, Any] = {
    "architectures": ["AceStepConditionGenerationModel"],
    "model_type": "acestep",
    "model_version": "base",
    "is_turbo": False,
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "attention_bias": False,
    "use_sliding_window": True,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2),
    "patch_size": PATCH,
    "in_channels": 3 * layout.CHANNELS,
    "audio_acoustic_hidden_dim": layout.CHANNELS,
    "text_hidden_dim": TEXT_CONFIG["hidden_size"],
    "timbre_hidden_dim": layout.CHANNELS,
    "timbre_fix_frame": 750,
    "num_lyric_encoder_hidden_layers": 1,
    "num_timbre_encoder_hidden_layers": 1,
    "num_attention_pooler_hidden_layers": 2,
    "pool_window_size": 5,
    "fsq_dim": 96,
    "fsq_input_levels": [8, 8, 8, 5, 5, 5],
    "fsq_input_num_quantizers": 1,
    "encoder_hidden_size": 96,
    "encoder_intermediate_size": 192,
    "encoder_num_attention_heads": 3,
    "encoder_num_key_value_heads": 1,
}
SOURCE_GAIN = 4.0  # the clock whispers; the first layer listens closely
STEADY = 8.0  # a constant in the stream, so that its norms change little from token to token
WORDS_WEIGHT = 0.03  # of the timbres' distance to words, in the loss
GATE = 0.5  # how much each layer adds at first


@dataclass(frozen=True, slots=True)
class Texts:
    """What a batch of songs is told, as rows of the table."""

    captions: Tensor  # [B, L]
    lengths: Tensor  # [B] of the captions; what follows is padding
    lyrics: list[Tensor]  # one row of tokens for each kind of lyrics in the batch
    lyrics_of: Tensor  # [B] which of them each song has

    def to(self, device: torch.device) -> "Texts":
        """The same on another device."""
        lyrics = [row.to(device) for row in self.lyrics]
        return Texts(self.captions.to(device), self.lengths.to(device), lyrics, self.lyrics_of.to(device))


@dataclass(frozen=True, slots=True)
class Shown:
    """What the transformer sees of each song beside the noise."""

    context: Tensor  # [B, T, 2 C]
    texts: Texts
    timbres: Tensor  # [R, 750, C]: silence first, then a reference of each lead
    timbre_of: Tensor  # [B]
    dropped: Tensor  # [B] bool: the null condition instead

    def to(self, device: torch.device) -> "Shown":
        """The same on another device."""
        rest = (self.timbres, self.timbre_of, self.dropped)
        return Shown(self.context.to(device), self.texts.to(device), *(one.to(device) for one in rest))


class TinyModel(nn.Module):
    """Text encoder, condition encoder and transformer, learnt together."""

    def __init__(self) -> None:
        super().__init__()
        config = ModelConfig.from_json(MODEL_CONFIG)
        self.dit = DiffusionTransformer(config, nn)  # type: ignore[arg-type]
        self.encoder = ConditionEncoder(config, nn)  # type: ignore[arg-type]
        self.table = nn.Parameter(torch.randn(len(words.meanings()), TEXT_CONFIG["hidden_size"]))
        self.text = text_network()
        begin(self.dit)

    def conditions(self, shown: Shown) -> tuple[Tensor, Tensor, Tensor]:
        """The sequences [B, M, E] that the blocks look at, the bias [B, 1, 1, M] that hides padding, and how far
        the timbres are from the words of their leads.
        """
        texts = shown.texts
        captions = self.text(inputs_embeds=self.table[texts.captions], use_cache=False).last_hidden_state
        text = self.encoder.text_projector(captions)
        sung = nn.utils.rnn.pad_sequence(
            [self.encoder.lyric_encoder(self.table[row][None])[0] for row in texts.lyrics], batch_first=True
        )
        timbres = self.encoder.timbre(shown.timbres)
        timbre = timbres[shown.timbre_of][:, None]
        sequence = torch.cat((sung[texts.lyrics_of], timbre, text), 1)
        lengths = torch.tensor([len(row) for row in texts.lyrics], device=text.device)[texts.lyrics_of]
        hidden = torch.cat(
            (
                past(lengths, sung.shape[1]),
                past(torch.ones_like(lengths), 1),
                past(texts.lengths, text.shape[1]),
            ),
            1,
        )
        null = self.dit.null_condition_emb.expand_as(sequence)
        sequence = torch.where(shown.dropped[:, None, None], null, sequence)
        bias = text.new_zeros(hidden.shape).masked_fill_(hidden, torch.finfo(torch.float32).min)
        return sequence, bias[:, None, None], distance_to_words(timbres[1:], text, texts.captions)

    def forward(self, x: Tensor, t: Tensor, shown: Shown) -> tuple[Tensor, Tensor]:
        """Noisy x [B, T, C] at noise levels t [B] -> velocity [B, T, C], and the timbres' distance to words."""
        dit = self.dit
        embedding, rows = dit.time_embed(t)
        embedding_r, rows_r = dit.time_embed_r(torch.zeros_like(t))
        rows = (rows + rows_r).transpose(0, 1)[:, :, None]  # [6, B, 1, W]
        sequence, bias, distance = self.conditions(shown)
        memory = dit.condition_embedder(sequence)
        positions = dit.positions(x.shape[1], x)
        x = dit.proj_in(torch.cat((shown.context, x), -1))
        one = torch.tensor([0.0, 1, 0, 0, 1, 0], device=x.device)[:, None, None, None]
        for index, layer in enumerate(dit.blocks()):
            modulation = layer.scale_shift_table[0][:, None, None] + rows + one
            places = positions.for_layer(dit.slides[index])
            (x,) = layer((x,), modulation, places, layer.cross_attn.key_values(memory, bias), None)
        shift, scale = dit.scale_shift_table[0][:, None, None] + (embedding + embedding_r)[None, :, None]
        return dit.proj_out(torch.addcmul(shift, dit.norm_out(x), 1 + scale)), distance


def distance_to_words(timbres: Tensor, text: Tensor, captions: Tensor) -> Tensor:
    """How far each lead's timbre [3, E] is from what its word became in these captions, on average.

    The transformer soon knows what to do about "guitar"; a sound of a guitar is to tell it just that.
    """
    rows = torch.tensor([words.meanings().index(f"word {lead}") for lead in layout.LEADS], device=text.device)
    said = (captions == rows[:, None, None]).to(text.dtype)  # [3, B, L]
    counts = said.sum((1, 2))
    words_now = torch.einsum("rbl,ble->re", said, text.detach()) / counts.clamp(min=1)[:, None]
    is_said = counts > 0
    size = torch.where(is_said, words_now.square().mean(1), 1.0)
    distances = (timbres - words_now).square().mean(1) / size
    return (distances * is_said).sum() / is_said.sum().clamp(min=1)


def past(lengths: Tensor, columns: int) -> Tensor:
    """[B, columns] bool: what lies behind the end of each row."""
    return torch.arange(columns, device=lengths.device) >= lengths[:, None]


def text_network() -> nn.Module:
    """The Qwen3 layers without a table of their own; training keeps one row per meaning instead."""
    names = {name: TEXT_CONFIG[name] for name in Qwen3Sizes.__dataclass_fields__ if name in TEXT_CONFIG}
    network = build_qwen3(Qwen3Sizes(vocab_size=1, **names), nn)  # type: ignore[arg-type]
    network.get_submodule("embed_tokens").requires_grad_(False)
    return network


@torch.no_grad()
def begin(dit: DiffusionTransformer) -> None:
    """A start from which music is learnt at once: noise already passes through, every layer already adds something."""
    convolution, out = dit.proj_in[1], dit.proj_out[1]
    noisy, latent = PATCH * layout.CHANNELS, layout.CHANNELS
    lanes = torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0]
    frames = (
        torch.eye(noisy).reshape(latent, PATCH, noisy).permute(2, 0, 1)
    )  # [lane, channel, frame in the patch]
    source = torch.randn(WIDTH - noisy, 2 * latent, PATCH) / math.sqrt(2 * noisy)
    weight = torch.zeros(WIDTH, 3 * latent, PATCH)
    weight[:noisy, 2 * latent :] = frames
    weight[noisy:, :latent] = SOURCE_GAIN * source[:, :latent]
    weight[noisy:, latent : 2 * latent] = 0.3 * source[:, latent:]
    convolution.weight.copy_(torch.einsum("wl,lcp->wcp", lanes, weight))
    convolution.bias.copy_(STEADY * lanes[:, -1])
    level = math.sqrt((noisy + STEADY**2) / WIDTH)
    out.weight.copy_(level * torch.einsum("wl,lcp->wcp", lanes[:, :noisy], frames))
    out.bias.zero_()
    for embed in (dit.time_embed, dit.time_embed_r):
        embed.time_proj.weight.mul_(0.1)
        embed.linear_2.weight.mul_(0.1)
        embed.linear_2.bias.zero_()
        embed.time_proj.bias.zero_()
    for layer in dit.blocks():
        layer.scale_shift_table[:, 2::3] = GATE
        for attention in (layer.self_attn, layer.cross_attn):
            attention.o_proj.weight.mul_(0.5)
        layer.mlp.down_proj.weight.mul_(0.5)
    nn.init.normal_(dit.null_condition_emb)


def flow_loss(
    model: TinyModel, clean: Tensor, weight: Tensor, t: Tensor, noise: Tensor, shown: Shown
) -> Tensor:
    """Mean squared error of the velocity, weight: [B, T, C], and a little of the timbres' distance to words."""
    moment = t[:, None, None]
    velocity, distance = model(moment * noise + (1 - moment) * clean, t, shown)
    error = F.mse_loss(velocity, noise - clean, reduction="none")
    return (error * weight).sum() / weight.sum() + WORDS_WEIGHT * distance
