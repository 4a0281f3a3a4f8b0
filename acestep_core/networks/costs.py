"""How much memory a run will take beyond the weights, told before it starts."""

import torch

from .config import AUDIO_CODES, ModelConfig, StackConfig
from .qwen3 import Qwen3Sizes, stack_of

WORKSPACE = 64 << 20  # bytes that kernels keep for themselves
SCORE_BYTES = 24  # per candidate: logits, chances, their order and their sums
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
