"""How much there is to compute: products, two operations each, of one evaluation and of a decoded frame."""

from itertools import pairwise

from .config import ModelConfig, VaeConfig
from .oobleck import DILATIONS

KERNEL = 7  # of the VAE's convolutions, but for those that change the rate


def evaluation_flop(config: ModelConfig, rows: int, frames: int) -> int:
    """Of the transformer's weights on so many rows of latents; attention among tokens comes on top, a tenth to a third."""
    stack, patch = config.decoder_stack, config.patch_size
    attention = 2 * stack.width * stack.head_dim * (stack.heads + stack.kv_heads)
    cross = (
        2 * stack.width * stack.head_dim * stack.heads
    )  # keys and values of the conditions are there already
    layer = attention + cross + 3 * stack.width * stack.mlp_width
    ends = (
        4 * config.audio_acoustic_hidden_dim * patch * stack.width
    )  # latents with their context in, velocity out
    return 2 * rows * -(-frames // patch) * (config.num_hidden_layers * layer + ends)


def decoding_flop(config: VaeConfig) -> int:
    """Of one latent frame in the VAE's decoder."""
    widths = [config.decoder_channels * multiple for multiple in reversed((1, *config.channel_multiples))]
    products, steps = KERNEL * config.decoder_input_channels * widths[0], 1
    for (inputs, outputs), stride in zip(pairwise(widths), reversed(config.downsampling_ratios), strict=True):
        steps *= stride
        products += steps * (2 * inputs * outputs + len(DILATIONS) * (KERNEL + 1) * outputs**2)
    return 2 * (products + steps * KERNEL * widths[-1] * config.audio_channels)
