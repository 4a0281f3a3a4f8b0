"""What a run will take beyond the weights, told before it starts: memory, and operations, two for each product."""

from itertools import pairwise

import torch

from .config import AUDIO_CODES, ModelConfig, StackConfig, VaeConfig
from .oobleck import DILATIONS
from .qwen3 import Qwen3Sizes, stack_of

WORKSPACE = 64 << 20  # bytes that kernels keep for themselves
SCORE_BYTES = 24  # per candidate: logits, chances, their order and their sums
KERNEL = 7  # of the VAE's convolutions, but for those that change the rate
ROOM = 1.25  # tensors that live a moment longer than counted


def sampling_bytes(
    config: ModelConfig, songs: int, frames: int, tokens: int, steps: int, guided: bool, itemsize: int
) -> int:
    """Of a sampling run: `tokens` of the longest condition, of each stage's together; `itemsize` bytes of a number."""
    stack = config.decoder_stack
    rows = songs * (2 if guided else 1) * -(-frames // config.patch_size)
    remembered = 2 * config.num_hidden_layers * stack.kv_heads * stack.head_dim * tokens * songs
    tables = 6 * steps * config.num_hidden_layers * stack.width
    state = (
        12 * songs * frames * config.audio_acoustic_hidden_dim
    )  # noise, state, velocities and estimates, in fp32
    return (
        int(ROOM * (itemsize * (rows * token_numbers(stack) + remembered + tables) + 4 * state)) + WORKSPACE
    )


def listening_bytes(config: ModelConfig, frames: int, tokens: int, heads: int, itemsize: int) -> int:
    """Of one evaluation of one song that also writes down where `heads` of a layer look, in fp32."""
    maps = heads * -(-frames // config.patch_size) * tokens
    return sampling_bytes(config, 1, frames, tokens, 1, False, itemsize) + int(ROOM * 3 * 4 * maps)


def encoding_bytes(stack: StackConfig, tokens: int, itemsize: int) -> int:
    """Of one encoder stack over so many tokens."""
    return int(ROOM * itemsize * tokens * token_numbers(stack)) + WORKSPACE


def planning_bytes(
    sizes: Qwen3Sizes, rows: int, tokens: int, dtype: torch.dtype, candidates: int = AUDIO_CODES
) -> int:
    """Of a planner that reads and writes `tokens` in each row; a row for each song and prompt.

    candidates: rows of the output table that have to be at hand; texts leave the table where it lies.
    """
    stack = stack_of(sizes)
    remembered = 2 * sizes.num_hidden_layers * stack.kv_heads * stack.head_dim * tokens * rows
    read = tokens * token_numbers(stack)  # prompts are read one at a time
    head = candidates * stack.width  # when they have to be cast or fetched
    scores = SCORE_BYTES * rows * sizes.vocab_size
    return int(ROOM * (dtype.itemsize * (remembered + read + head) + scores)) + WORKSPACE


def token_numbers(stack: StackConfig) -> int:
    """Numbers that are alive at once for each token, in the greedier half of a layer."""
    heads, shared = stack.heads * stack.head_dim, stack.kv_heads * stack.head_dim
    window = 6 * heads + 6 * shared  # keys and values of three blocks, written out for every head
    attention = 3 * heads + 2 * shared + (0 if stack.window is None else window)
    return 4 * stack.width + max(attention, 3 * stack.mlp_width)


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
