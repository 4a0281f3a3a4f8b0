"""Random weights of a tiny ACE-Step 1.5, scaled so that no signal path dies out, and its silence."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.tiny.shapes import FULL_SIZE, model_shapes, qwen_shapes, vae_shapes

SILENCE_FRAMES = 15_000
DERIVED_FRAMES = 64  # zeros that are encoded to find the silence
EDGE_FRAMES = 8  # kept as they are; after them every frame is the steady one
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3Model"],
    "model_type": "qwen3",
    "hidden_size": 16,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 12,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "vocab_size": 151_669,
    "hidden_act": "silu",
    "attention_bias": False,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "torch_dtype": "float32",
}
PLANNER_CONFIG: dict[str, Any] = {
    **TEXT_CONFIG,
    "architectures": ["Qwen3ForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 217_204,
    "bos_token_id": 151_643,
    "eos_token_id": 151_645,
}
VAE_CONFIG: dict[str, Any] = {
    "_class_name": "AutoencoderOobleck",
    "audio_channels": 2,
    "encoder_hidden_size": 4,
    "downsampling_ratios": [2, 4, 4, 6, 10],
    "channel_multiples": [1, 2, 2, 3, 4],
    "decoder_channels": 3,
    "decoder_input_channels": 64,
    "sampling_rate": 48_000,
}


def tiny_config(variant: str, xl: bool = False) -> dict[str, Any]:
    """A config.json with small widths and every other constant as published."""
    layers = 6 if xl else 4
    small = {
        "hidden_size": 48,
        "intermediate_size": 104,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "layer_types": ["sliding_attention", "full_attention"] * (layers // 2),
        "text_hidden_dim": TEXT_CONFIG["hidden_size"],
        "num_lyric_encoder_hidden_layers": 3,
        "num_timbre_encoder_hidden_layers": 2,
        "fsq_dim": 48,
    }
    encoder = {
        "encoder_hidden_size": 48,
        "encoder_intermediate_size": 104,
        "encoder_num_attention_heads": 4,
        "encoder_num_key_value_heads": 2,
    }
    wide = {"hidden_size": 64, "intermediate_size": 144, "num_attention_heads": 8, **encoder} if xl else {}
    published = {
        "architectures": ["AceStepConditionGenerationModel"],
        "model_type": "acestep",
        "model_version": "turbo",  # says so in every published variant
        "is_turbo": variant == "turbo",
        "attention_bias": False,
        "vocab_size": 64_003,
        "max_position_embeddings": 32_768,
        "torch_dtype": "float32",
    }
    return {**FULL_SIZE, **small, **wide, **published}


def model_weights(config: Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """Transformer, condition encoder, tokenizer, detokenizer and null condition."""
    weights = {key: _network_weight(key, shape, seed) for key, shape in model_shapes(config).items()}
    for key in weights:
        if key.startswith("decoder.") and key.endswith(
            ("cross_attn.q_norm.weight", "cross_attn.o_proj.weight")
        ):
            weights[key] *= 3  # words and timbre are heard: few of many tokens get the attention
    weights["null_condition_emb"] *= 3
    weights["tokenizer.quantizer.project_in.weight"] *= 1.2  # spreads the codes over all levels
    weights["tokenizer.attention_pooler.special_token"] *= 0.2  # codes depend on the audio, not on this
    return weights


def text_weights(seed: int) -> dict[str, Tensor]:
    """The Qwen3 text encoder, named as in its own folder."""
    weights = {key: _network_weight(key, shape, seed) for key, shape in qwen_shapes(TEXT_CONFIG).items()}
    weights["embed_tokens.weight"] *= math.sqrt(TEXT_CONFIG["hidden_size"]) / 1.2
    return weights


def planner_weights(seed: int) -> dict[str, Tensor]:
    """The Qwen3 that writes codes, named as in its own folder but without `model.`; its head is tied."""
    shapes = qwen_shapes(PLANNER_CONFIG)
    weights = {key: _network_weight(f"planner {key}", shape, seed) for key, shape in shapes.items()}
    weights["embed_tokens.weight"] *= 2
    weights["embed_tokens.weight"][PLANNER_CONFIG["eos_token_id"]] *= 3  # lyrics end after some lines
    return weights


def vae_weights(seed: int) -> dict[str, Tensor]:
    """The Oobleck VAE with split weight norm."""
    shapes = vae_shapes(VAE_CONFIG)
    weights = {key: _vae_weight(key, shape, seed) for key, shape in shapes.items() if not key.endswith("_g")}
    for key in shapes:
        if key.endswith("weight_g"):
            stored = key.replace("weight_g", "weight_v")
            weights[key] = weights[stored].norm(dim=(1, 2), keepdim=True)
            weights[stored] = weights[stored] * (0.5 + _random(key, weights[key].shape, seed).abs())
    return weights


def derived_silence(vae: Mapping[str, Tensor]) -> Tensor:
    """[1, 15000, 64]: what this VAE makes of zeros, edge first, then the steady frame for ever."""
    hop = math.prod(VAE_CONFIG["downsampling_ratios"])
    latent = encode(vae, torch.zeros(1, VAE_CONFIG["audio_channels"], DERIVED_FRAMES * hop)).mT
    steady = latent[:, DERIVED_FRAMES // 2, None]
    return torch.cat((latent[:, :EDGE_FRAMES], steady.expand(-1, SILENCE_FRAMES - EDGE_FRAMES, -1)), 1)


def encode(vae: Mapping[str, Tensor], audio: Tensor) -> Tensor:
    """Posterior mean of audio [B, 2, S] -> [B, 64, T], literally as the VAE is described."""
    x = _conv(vae, "encoder.conv1", audio, padding=3)
    for index, stride in enumerate(VAE_CONFIG["downsampling_ratios"]):
        block = f"encoder.block.{index}"
        for unit, dilation in ((1, 1), (2, 3), (3, 9)):
            inner = _snake(vae, f"{block}.res_unit{unit}.snake1", x)
            inner = _conv(
                vae, f"{block}.res_unit{unit}.conv1", inner, padding=3 * dilation, dilation=dilation
            )
            inner = _snake(vae, f"{block}.res_unit{unit}.snake2", inner)
            x = x + _conv(vae, f"{block}.res_unit{unit}.conv2", inner)
        x = _snake(vae, f"{block}.snake1", x)
        x = _conv(vae, f"{block}.conv1", x, padding=math.ceil(stride / 2), stride=stride)
    moments = _conv(vae, "encoder.conv2", _snake(vae, "encoder.snake1", x), padding=1)
    return moments.chunk(2, dim=1)[0]


def _conv(vae: Mapping[str, Tensor], name: str, x: Tensor, **geometry: int) -> Tensor:
    direction = vae[f"{name}.weight_v"]
    weight = vae[f"{name}.weight_g"] * direction / direction.norm(dim=(1, 2), keepdim=True)
    return F.conv1d(x, weight, vae[f"{name}.bias"], **geometry)


def _snake(vae: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    alpha, beta = vae[f"{name}.alpha"].exp(), vae[f"{name}.beta"].exp()
    return x + torch.sin(alpha * x).square() / (beta + 1e-9)


def _network_weight(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    noise = _random(key, shape, seed)
    if key.endswith("norm.weight"):
        return 1 + 0.1 * noise
    if len(shape) == 1 or "table" in key or "special" in key or key == "null_condition_emb":
        return 0.15 * noise
    fan_in = shape[0] if "proj_out.1" in key else math.prod(shape[1:])
    return noise * (1.2 / math.sqrt(fan_in))


def _vae_weight(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    noise = _random(key, shape, seed)
    if key.endswith(("alpha", "beta")):
        return 0.3 * noise
    if key.endswith("bias"):
        return noise * (1.0 if key == "encoder.conv2.bias" else 0.05)
    fan_in = 2 * shape[0] if "conv_t1" in key else math.prod(shape[1:])
    gain = {"encoder.conv1.weight_v": 4.0, "encoder.conv2.weight_v": 1.6, "decoder.conv2.weight_v": 0.1}.get(
        key, 0.8
    )
    return noise * ((0.4 if "res_unit" in key else gain) / math.sqrt(fan_in))


def _random(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Normal noise that depends on the tensor's name and the seed, not on the order of building."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {key}".encode()))
    return torch.randn(shape, generator=generator)
