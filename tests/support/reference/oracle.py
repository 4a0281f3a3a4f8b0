"""The reference networks (diffusers, tests only) with random weights, and ours with the same weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer

TO_OFFICIAL = {
    ".to_q.": ".q_proj.",
    ".to_k.": ".k_proj.",
    ".to_v.": ".v_proj.",
    ".to_out.0.": ".o_proj.",
    ".norm_q.": ".q_norm.",
    ".norm_k.": ".k_norm.",
    "proj_in_conv.": "proj_in.1.",
    "proj_out_conv.": "proj_out.1.",
}


class CastingLinear(nn.Linear):
    """Computes in its input's dtype, as a host's layers do."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.to(x.dtype))


class CastingNorm(nn.RMSNorm):
    """Computes in its input's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


CASTING = SimpleNamespace(Linear=CastingLinear, RMSNorm=CastingNorm, Embedding=nn.Embedding)
SMALL = ModelConfig(
    hidden_size=48,
    intermediate_size=104,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
    use_sliding_window=True,
    sliding_window=6,
    layer_types=("sliding_attention", "full_attention") * 2,
    patch_size=2,
    audio_acoustic_hidden_dim=8,
    text_hidden_dim=24,
    timbre_hidden_dim=8,
    timbre_fix_frame=750,
    num_lyric_encoder_hidden_layers=3,
    num_timbre_encoder_hidden_layers=2,
    num_attention_pooler_hidden_layers=2,
    pool_window_size=5,
    fsq_dim=48,
    fsq_input_levels=(8, 8, 8, 5, 5, 5),
    encoder_hidden_size=48,
    encoder_intermediate_size=104,
    encoder_num_attention_heads=4,
    encoder_num_key_value_heads=2,
)
XL_LIKE = replace(  # condition width unlike model width, four query heads per key head, more layers
    SMALL,
    hidden_size=80,
    intermediate_size=136,
    num_hidden_layers=6,
    num_attention_heads=8,
    layer_types=("sliding_attention", "full_attention") * 3,
)
TURBO = replace(  # the published 2B sizes
    SMALL,
    hidden_size=2048,
    intermediate_size=6144,
    num_hidden_layers=24,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    sliding_window=128,
    layer_types=("sliding_attention", "full_attention") * 12,
    audio_acoustic_hidden_dim=64,
    text_hidden_dim=1024,
    timbre_hidden_dim=64,
    num_lyric_encoder_hidden_layers=8,
    num_timbre_encoder_hidden_layers=4,
    fsq_dim=2048,
    encoder_hidden_size=2048,
    encoder_intermediate_size=6144,
    encoder_num_attention_heads=16,
    encoder_num_key_value_heads=8,
)
CONFIGS = {"2B-like": SMALL, "XL-like": XL_LIKE}


def randomise(module: nn.Module, seed: int) -> nn.Module:
    """Weights that keep signals alive: matrices by fan-in, norms near one, everything else visibly not zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        loose = any(word in name for word in ("table", "special_token", "null"))
        if "norm" in name:
            noise = 1 + 0.1 * noise
        elif parameter.ndim >= 2 and not loose:
            noise = noise * 1.2 / parameter[0].numel() ** 0.5
        else:
            noise = 0.15 * noise
        parameter.data.copy_(noise)
    return module.train(False).requires_grad_(False)


def official_names(state: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Diffusers' keys under the official names."""
    renamed = {}
    for key, tensor in state.items():
        name = "." + key
        for theirs, ours in TO_OFFICIAL.items():
            name = name.replace(theirs, ours)
        renamed[prefix + name.removeprefix(".")] = tensor
    return renamed


def stack_arguments(config: ModelConfig, encoder: bool) -> dict[str, Any]:
    """What every network of diffusers wants to know."""
    stack = config.encoder_stack if encoder else config.decoder_stack
    return {
        "hidden_size": stack.width,
        "intermediate_size": stack.mlp_width,
        "num_attention_heads": stack.heads,
        "num_key_value_heads": stack.kv_heads,
        "head_dim": stack.head_dim,
        "rope_theta": stack.theta,
        "rms_norm_eps": stack.eps,
        "sliding_window": config.sliding_window,
    }


@cache
def transformers_of(name: str) -> tuple[nn.Module, DiffusionTransformer]:
    """Their transformer and ours, same weights."""
    from diffusers import AceStepTransformer1DModel

    config = CONFIGS[name]
    theirs = AceStepTransformer1DModel(
        **stack_arguments(config, encoder=False),
        num_hidden_layers=config.num_hidden_layers,
        in_channels=3 * config.audio_acoustic_hidden_dim,
        audio_acoustic_hidden_dim=config.audio_acoustic_hidden_dim,
        patch_size=config.patch_size,
        layer_types=list(config.layer_types),
        encoder_hidden_size=config.encoder_hidden_size,
    )
    randomise(theirs, seed=1)
    ours = DiffusionTransformer(config, nn)
    null = torch.randn(1, 1, config.encoder_hidden_size, generator=torch.Generator().manual_seed(2))
    ours.load_state_dict({**official_names(theirs.state_dict()), "null_condition_emb": null})
    return theirs, ours.train(False).requires_grad_(False)


@cache
def condition_encoders_of(name: str) -> tuple[nn.Module, ConditionEncoder]:
    """Their condition encoder and ours, same weights."""
    from diffusers.pipelines.ace_step import AceStepConditionEncoder

    config = CONFIGS[name]
    theirs = AceStepConditionEncoder(
        **stack_arguments(config, encoder=True),
        text_hidden_dim=config.text_hidden_dim,
        timbre_hidden_dim=config.timbre_hidden_dim,
        num_lyric_encoder_hidden_layers=config.num_lyric_encoder_hidden_layers,
        num_timbre_encoder_hidden_layers=config.num_timbre_encoder_hidden_layers,
    )
    randomise(theirs, seed=3)
    ours = ConditionEncoder(config, nn)
    state = official_names(theirs.state_dict())
    ours.load_state_dict(
        {k: v for k, v in state.items() if k not in ("silence_latent", "null_condition_emb")}
    )
    return theirs, ours.train(False).requires_grad_(False)


@cache
def codecs_of(name: str) -> tuple[nn.Module, nn.Module, AudioCodec]:
    """Their tokenizer and detokenizer, and our codec, same weights."""
    from diffusers.pipelines.ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer

    config = CONFIGS[name]
    shared = {
        **stack_arguments(config, encoder=True),
        "audio_acoustic_hidden_dim": config.audio_acoustic_hidden_dim,
        "pool_window_size": config.pool_window_size,
        "num_attention_pooler_hidden_layers": config.num_attention_pooler_hidden_layers,
    }
    tokenizer = AceStepAudioTokenizer(
        **shared,
        fsq_dim=config.fsq_dim,
        fsq_input_levels=list(config.fsq_input_levels),
        fsq_input_num_quantizers=1,
    )
    detokenizer = AceStepAudioTokenDetokenizer(**shared)
    randomise(tokenizer, seed=4)
    randomise(detokenizer, seed=5)
    tokenizer.quantizer.project_in.weight.mul_(3)  # spread the codes over all levels
    ours = AudioCodec(config, nn)
    ours.load_state_dict(
        official_names(tokenizer.state_dict(), "tokenizer.")
        | official_names(detokenizer.state_dict(), "detokenizer.")
    )
    return tokenizer, detokenizer, ours.train(False).requires_grad_(False)


def evaluate(
    transformer: DiffusionTransformer,
    x: Tensor,
    context: Tensor,
    enc: Tensor,
    t: float,
    r: float | None = None,
) -> Tensor:
    """One plain evaluation of our transformer, with everything prepared on the spot.

    r: where the mean flow ends; None: at t, as in every run.
    """
    times = torch.tensor([t], dtype=x.dtype)
    ahead = torch.zeros_like(times) if r is None else times - torch.tensor([r], dtype=x.dtype)
    with instead_of_input(transformer.time_embed_r, ahead):
        modulation = transformer.modulations(times)[0]
    attended = CrossAttended(transformer.key_values(list(enc)))
    return transformer(x, context, modulation, attended, transformer.positions(x.shape[1], x)).cond


@contextmanager
def instead_of_input(module: nn.Module, value: Tensor) -> Iterator[None]:
    """Inside, the module is given this value whatever it is called with."""
    handle = module.register_forward_pre_hook(lambda module, given: (value,))
    try:
        yield
    finally:
        handle.remove()


def furthest(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference anywhere."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return (ours - theirs).abs().max().item()
