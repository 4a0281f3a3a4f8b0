"""Names and shapes of every tensor in an ACE-Step 1.5 checkpoint, written down independently of the networks."""

from collections.abc import Iterator, Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]

FULL_SIZE: dict[str, Any] = {
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "use_sliding_window": True,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "patch_size": 2,
    "in_channels": 192,
    "audio_acoustic_hidden_dim": 64,
    "text_hidden_dim": 1024,
    "timbre_hidden_dim": 64,
    "timbre_fix_frame": 750,
    "num_lyric_encoder_hidden_layers": 8,
    "num_timbre_encoder_hidden_layers": 4,
    "num_attention_pooler_hidden_layers": 2,
    "pool_window_size": 5,
    "fsq_dim": 2048,
    "fsq_input_levels": [8, 8, 8, 5, 5, 5],
    "fsq_input_num_quantizers": 1,
}
FULL_SIZE_XL: dict[str, Any] = {
    **FULL_SIZE,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "layer_types": ["sliding_attention", "full_attention"] * 16,
    "encoder_hidden_size": 2048,
    "encoder_intermediate_size": 6144,
    "encoder_num_attention_heads": 16,
    "encoder_num_key_value_heads": 8,
}

FULL_QWEN: dict[str, Any] = {  # Qwen3-Embedding-0.6B
    "vocab_size": 151_669,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
}
FULL_VAE: dict[str, Any] = {
    "audio_channels": 2,
    "encoder_hidden_size": 128,
    "downsampling_ratios": [2, 4, 4, 6, 10],
    "channel_multiples": [1, 2, 4, 8, 16],
    "decoder_channels": 128,
    "decoder_input_channels": 64,
}


def model_shapes(config: Mapping[str, Any]) -> Shapes:
    """Everything in the official `model.safetensors` of a model with this config.json."""
    width, text = _encoder(config, "hidden_size"), config["text_hidden_dim"]
    acoustic, levels = config["audio_acoustic_hidden_dim"], len(config["fsq_input_levels"])
    special, fsq = (1, 1, width), config["fsq_dim"]
    return {
        **{f"decoder.{key}": shape for key, shape in _decoder(config).items()},
        "encoder.text_projector.weight": (width, text),
        **_stack("encoder.lyric_encoder.", text, config["num_lyric_encoder_hidden_layers"], config),
        **_stack("encoder.timbre_encoder.", acoustic, config["num_timbre_encoder_hidden_layers"], config),
        "encoder.timbre_encoder.special_token": special,
        **_linear("tokenizer.audio_acoustic_proj", acoustic, width),
        **_stack("tokenizer.attention_pooler.", width, config["num_attention_pooler_hidden_layers"], config),
        "tokenizer.attention_pooler.special_token": special,
        **_linear("tokenizer.quantizer.project_in", fsq, levels),
        **_linear("tokenizer.quantizer.project_out", levels, fsq),
        **_stack("detokenizer.", width, config["num_attention_pooler_hidden_layers"], config),
        "detokenizer.special_tokens": (1, config["pool_window_size"], width),
        **_linear("detokenizer.proj_out", width, acoustic),
        "null_condition_emb": (1, 1, width),
    }


def qwen_shapes(config: Mapping[str, Any]) -> Shapes:
    """A Qwen3 without its head, named as the text encoder's own folder names it."""
    width, dim = config["hidden_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    layers: Shapes = {}
    for index in range(config["num_hidden_layers"]):
        layers |= _layer(f"layers.{index}.", width, config["intermediate_size"], heads, kv_heads, dim)
    return {"embed_tokens.weight": (config["vocab_size"], width), **layers, "norm.weight": (width,)}


def vae_shapes(config: Mapping[str, Any]) -> Shapes:
    """The Oobleck VAE as it is published: weight norm in two tensors, diffusers' names."""
    ratios, multiples = config["downsampling_ratios"], [1, *config["channel_multiples"]]
    latent, sound = config["decoder_input_channels"], config["audio_channels"]
    down = [config["encoder_hidden_size"] * multiple for multiple in multiples]
    up = [config["decoder_channels"] * multiple for multiple in reversed(multiples)]
    shapes = {**_normed("encoder.conv1", (down[0], sound, 7)), **_normed("decoder.conv1", (up[0], latent, 7))}
    for index, stride in enumerate(ratios):
        narrow, wide = down[index], down[index + 1]
        shapes |= _residuals(f"encoder.block.{index}.", narrow) | _snake(
            f"encoder.block.{index}.snake1", narrow
        )
        shapes |= _normed(f"encoder.block.{index}.conv1", (wide, narrow, 2 * stride))
    for index, stride in enumerate(reversed(ratios)):
        wide, narrow = up[index], up[index + 1]
        shapes |= _snake(f"decoder.block.{index}.snake1", wide) | _residuals(
            f"decoder.block.{index}.", narrow
        )
        shapes |= _normed(f"decoder.block.{index}.conv_t1", (wide, narrow, 2 * stride), bias=narrow)
    shapes |= _snake("encoder.snake1", down[-1]) | _normed("encoder.conv2", (2 * latent, down[-1], 3))
    shapes |= _snake("decoder.snake1", up[-1]) | _normed("decoder.conv2", (sound, up[-1], 7))
    del shapes["decoder.conv2.bias"]
    return shapes


def _decoder(config: Mapping[str, Any]) -> Shapes:
    width, mlp, dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    acoustic, patch = config["audio_acoustic_hidden_dim"], config["patch_size"]
    shapes: Shapes = {
        "proj_in.1.weight": (width, 3 * acoustic, patch),
        "proj_in.1.bias": (width,),
        "proj_out.1.weight": (width, acoustic, patch),
        "proj_out.1.bias": (acoustic,),
        **_linear("condition_embedder", _encoder(config, "hidden_size"), width),
        "norm_out.weight": (width,),
        "scale_shift_table": (1, 2, width),
    }
    for embed in ("time_embed", "time_embed_r"):
        shapes |= _linear(f"{embed}.linear_1", 256, width) | _linear(f"{embed}.linear_2", width, width)
        shapes |= _linear(f"{embed}.time_proj", width, 6 * width)
    for index in range(config["num_hidden_layers"]):
        layer = f"layers.{index}."
        shapes |= {f"{layer}{norm}_norm.weight": (width,) for norm in ("self_attn", "cross_attn", "mlp")}
        shapes |= _attention(f"{layer}self_attn.", width, heads, kv_heads, dim)
        shapes |= _attention(f"{layer}cross_attn.", width, heads, kv_heads, dim)
        shapes |= _mlp(f"{layer}mlp.", width, mlp) | {f"{layer}scale_shift_table": (1, 6, width)}
    return shapes


def _encoder(config: Mapping[str, Any], field: str) -> int:
    return config.get(f"encoder_{field}") or config[field]


def _stack(prefix: str, source: int, layers: int, config: Mapping[str, Any]) -> Shapes:
    width, mlp = _encoder(config, "hidden_size"), _encoder(config, "intermediate_size")
    heads, kv_heads = _encoder(config, "num_attention_heads"), _encoder(config, "num_key_value_heads")
    shapes = {**_linear(f"{prefix}embed_tokens", source, width), f"{prefix}norm.weight": (width,)}
    for index in range(layers):
        shapes |= _layer(f"{prefix}layers.{index}.", width, mlp, heads, kv_heads, config["head_dim"])
    return shapes


def _layer(prefix: str, width: int, mlp: int, heads: int, kv_heads: int, dim: int) -> Shapes:
    norms = {f"{prefix}{norm}.weight": (width,) for norm in ("input_layernorm", "post_attention_layernorm")}
    return {
        **norms,
        **_attention(f"{prefix}self_attn.", width, heads, kv_heads, dim),
        **_mlp(f"{prefix}mlp.", width, mlp),
    }


def _attention(prefix: str, width: int, heads: int, kv_heads: int, dim: int) -> Shapes:
    return {
        f"{prefix}q_proj.weight": (heads * dim, width),
        f"{prefix}k_proj.weight": (kv_heads * dim, width),
        f"{prefix}v_proj.weight": (kv_heads * dim, width),
        f"{prefix}o_proj.weight": (width, heads * dim),
        f"{prefix}q_norm.weight": (dim,),
        f"{prefix}k_norm.weight": (dim,),
    }


def _mlp(prefix: str, width: int, mlp: int) -> Shapes:
    return {
        f"{prefix}gate_proj.weight": (mlp, width),
        f"{prefix}up_proj.weight": (mlp, width),
        f"{prefix}down_proj.weight": (width, mlp),
    }


def _linear(name: str, source: int, target: int) -> Shapes:
    return {f"{name}.weight": (target, source), f"{name}.bias": (target,)}


def _normed(name: str, weight: tuple[int, int, int], bias: int | None = None) -> Shapes:
    return {
        f"{name}.weight_g": (weight[0], 1, 1),
        f"{name}.weight_v": weight,
        f"{name}.bias": (bias or weight[0],),
    }


def _snake(name: str, channels: int) -> Shapes:
    return {f"{name}.alpha": (1, channels, 1), f"{name}.beta": (1, channels, 1)}


def _residuals(prefix: str, channels: int) -> Shapes:
    return dict(_residual_items(prefix, channels))


def _residual_items(prefix: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for unit in (1, 2, 3):
        for part, kernel in ((1, 7), (2, 1)):
            yield from _snake(f"{prefix}res_unit{unit}.snake{part}", channels).items()
            yield from _normed(f"{prefix}res_unit{unit}.conv{part}", (channels, channels, kernel)).items()
