"""Sizes read off the shapes of a file that carries no config."""

from collections.abc import Mapping, Sequence

from ..errors import UnsupportedCheckpointError
from ..networks.config import CONFIG_AGAIN, PUBLISHED, ModelConfig, VaeConfig, alternating
from .checkpoint import CHOOSE_VAE
from .oobleck_keys import official_name


def model_config_of(shapes: Mapping[str, tuple[int, ...]]) -> ModelConfig:
    """Sizes of the model whose tensors, under official names, have these shapes; the rest is as published."""
    try:
        width, latent, patch = shapes["decoder.proj_out.1.weight"]
        encoder_width, text_width = shapes["encoder.text_projector.weight"]
        layers = layers_in(shapes, "decoder.")
        decoder = stack_sizes(shapes, "decoder.layers.0.")
        encoder = stack_sizes(shapes, "encoder.lyric_encoder.layers.0.")
        seen = {
            **decoder,
            **{f"encoder_{name}": encoder[name] for name in encoder if name != "head_dim"},
            "hidden_size": width,
            "encoder_hidden_size": encoder_width,
            "num_hidden_layers": layers,
            "layer_types": alternating(layers),
            "patch_size": patch,
            "audio_acoustic_hidden_dim": latent,
            "text_hidden_dim": text_width,
            "timbre_hidden_dim": shapes["encoder.timbre_encoder.embed_tokens.weight"][1],
            "num_lyric_encoder_hidden_layers": layers_in(shapes, "encoder.lyric_encoder."),
            "num_timbre_encoder_hidden_layers": layers_in(shapes, "encoder.timbre_encoder."),
            "num_attention_pooler_hidden_layers": layers_in(shapes, "tokenizer.attention_pooler."),
            "pool_window_size": shapes["detokenizer.special_tokens"][1],
            "fsq_dim": shapes["tokenizer.quantizer.project_in.weight"][1],
        }
    except (KeyError, ValueError, IndexError) as fault:
        raise UnsupportedCheckpointError(
            f"The sizes of the model cannot be read off its weights (at {fault}).",
            "Choose an ACE-Step 1.5 file that holds decoder, encoder, tokenizer and detokenizer.",
        ) from fault
    return ModelConfig.from_json({**PUBLISHED, **seen})


def stack_sizes(shapes: Mapping[str, tuple[int, ...]], layer: str) -> dict[str, int]:
    """What one transformer layer tells of its stack."""
    (head_dim,) = shapes[f"{layer}self_attn.q_norm.weight"]
    return {
        "head_dim": head_dim,
        "num_attention_heads": shapes[f"{layer}self_attn.q_proj.weight"][0] // head_dim,
        "num_key_value_heads": shapes[f"{layer}self_attn.k_proj.weight"][0] // head_dim,
        "intermediate_size": shapes[f"{layer}mlp.gate_proj.weight"][0],
    }


def layers_in(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many different numbers follow `<prefix>layers.` in the names."""
    start = f"{prefix}layers."
    return len({name.removeprefix(start).split(".")[0] for name in shapes if name.startswith(start)})


def refuse_absent_layers(shapes: Mapping[str, tuple[int, ...]], counts: Mapping[str, int]) -> None:
    """A config.json that asks for more layers than the weights have is refused before any layer is built.

    counts: prefix of a stack -> its layers; a stack without any is left to those who need it.
    """
    for prefix, wanted in counts.items():
        held = layers_in(shapes, prefix)
        if held and wanted > held:
            raise UnsupportedCheckpointError(
                f"config.json says that {prefix}layers has {wanted} layers, and the weights hold {held}.",
                CONFIG_AGAIN,
            )


def model_layers(config: ModelConfig) -> dict[str, int]:
    """The stacks of a model, by the prefixes of their tensors, and their layers."""
    pooler = config.num_attention_pooler_hidden_layers
    return {
        "decoder.": config.num_hidden_layers,
        "encoder.lyric_encoder.": config.num_lyric_encoder_hidden_layers,
        "encoder.timbre_encoder.": config.num_timbre_encoder_hidden_layers,
        "tokenizer.attention_pooler.": pooler,
        "detokenizer.": pooler,
    }


def vae_config_of(shapes: Mapping[str, Sequence[int]]) -> VaeConfig:
    """Sizes of the VAE whose tensors, in any layout and spelling, have these shapes."""
    named = {official_name(key): tuple(shape) for key, shape in shapes.items()}

    def convolution(name: str) -> tuple[int, ...]:
        shape = named.get(f"{name}.weight_v") or named.get(f"{name}.weight")
        if shape is None or len(shape) != 3:
            raise UnsupportedCheckpointError(
                f"The file holds no Oobleck VAE: the convolution {name} is missing.",
                CHOOSE_VAE,
            )
        return shape

    hidden, audio_channels, _ = convolution("encoder.conv1")
    blocks = len({key.split(".")[2] for key in named if key.startswith("encoder.block.")})
    downsampling = [convolution(f"encoder.block.{index}.conv1") for index in range(blocks)]
    return VaeConfig(
        audio_channels=audio_channels,
        encoder_hidden_size=hidden,
        downsampling_ratios=tuple(kernel // 2 for _, _, kernel in downsampling),
        channel_multiples=tuple(out // hidden for out, _, _ in downsampling),
        decoder_channels=convolution("decoder.conv2")[1],
        decoder_input_channels=convolution("decoder.conv1")[1],
    )
