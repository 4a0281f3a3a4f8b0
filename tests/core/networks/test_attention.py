"""The sliding window and the rotary positions, against plain statements of both."""

import math

import pytest
import torch
from torch import nn

from acestep_core.networks.attention import (
    KeyValue,
    Positions,
    Window,
    attend,
    full_attention,
    windowed_attention,
)
from acestep_core.networks.config import StackConfig
from acestep_core.networks.layers import Rotary, TimestepEmbedding, sinusoid

STACK = StackConfig(width=32, mlp_width=48, heads=4, kv_heads=2, head_dim=8, eps=1e-6, theta=1e6, window=128)


def heads(tokens: int, count: int, batch: int = 2, seed: int = 0):
    return torch.randn(
        batch, tokens, count, 8, generator=torch.Generator().manual_seed(seed + tokens + count)
    )


def dense(q, k, v, reach):
    """The window as a mask over all pairs, key heads written out."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    k, v = (tensor.repeat_interleave(q.shape[1] // k.shape[1], 1) for tensor in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    place = torch.arange(q.shape[2])
    far = (place[:, None] - place).abs() > reach
    return (scores.masked_fill(far, -torch.inf).softmax(-1) @ v).transpose(1, 2)


@pytest.mark.parametrize("tokens", [6, 7, 11, 12, 13, 40])
@pytest.mark.parametrize("reach", [1, 3, 5])
def test_blocks_of_the_window_equal_the_dense_mask(tokens, reach):
    q, k, v = heads(tokens, 4), heads(tokens, 2, seed=1), heads(tokens, 2, seed=2)
    ours = windowed_attention(q, k, v, Window.of(tokens, reach, q))
    assert (ours - dense(q, k, v, reach)).abs().max() < 1e-6


def test_without_a_window_every_token_counts():
    q, k, v = heads(20, 4), heads(20, 2, seed=1), heads(20, 2, seed=2)
    assert (full_attention(q, k, v) - dense(q, k, v, 100)).abs().max() < 1e-6


def test_at_the_real_reach_a_token_is_seen_from_128_places_away_and_not_from_129():
    tokens, changed = 400, 200
    q, k, v = heads(tokens, 4, batch=1), heads(tokens, 2, batch=1, seed=1), heads(tokens, 2, batch=1, seed=2)
    window = Window.of(tokens, 128, q)
    other = v.clone()
    other[:, changed] += 1
    kept, other = (windowed_attention(q, k, values, window) for values in (v, other))
    moved = (kept - other).abs().amax((0, 2, 3)) > 0
    assert moved.nonzero().flatten().tolist() == list(range(changed - 128, changed + 129))


@pytest.mark.parametrize(("tokens", "windowed"), [(129, False), (130, True)])
def test_a_sequence_within_reach_needs_no_window(tokens, windowed):
    assert (Positions.of(tokens, STACK, torch.zeros(1)).window is not None) == windowed


def test_hidden_padding_leaves_no_trace():
    q, k, v = (heads(9, count, seed=count).transpose(1, 2) for count in (4, 2, 2))
    bias = torch.zeros(2, 1, 1, 9)
    bias[..., 6:] = torch.finfo(torch.float32).min
    hidden = attend(q, *KeyValue(k, v, bias))
    assert (hidden - attend(q, k[:, :, :6], v[:, :, :6])).abs().max() < 1e-6


def test_the_first_half_of_a_head_turns_against_the_second():
    x = heads(5, 1)
    out = Rotary.of(5, 8, 1e6, x).turn(x)
    for place in range(5):
        for i in range(4):
            angle = place * 1e6 ** (-2 * i / 8)
            a, b = x[:, place, 0, i], x[:, place, 0, i + 4]
            assert torch.allclose(out[:, place, 0, i], a * math.cos(angle) - b * math.sin(angle), atol=1e-5)
            assert torch.allclose(
                out[:, place, 0, i + 4], b * math.cos(angle) + a * math.sin(angle), atol=1e-5
            )


def test_the_timestep_shows_cosines_first_and_the_recorded_values():
    values = sinusoid(torch.tensor([0.5]))[0]
    expected = {0: -0.8838, 1: 0.9459, 127: 0.9986, 128: -0.4678, 255: 0.0537}
    assert {i: round(values[i].item(), 4) for i in expected} == expected


def test_a_bf16_time_is_rounded_before_the_sinusoid_sees_it():
    t = torch.tensor([0.953125], dtype=torch.bfloat16)  # times 1000 is 952 in bf16, not 953.125
    angles = 952.0 * torch.exp(-math.log(10_000) * torch.arange(128) / 128)
    assert torch.equal(sinusoid(t)[0, :128], angles.cos().to(torch.bfloat16))


def test_at_zero_the_second_time_embedding_is_a_constant():
    torch.manual_seed(0)
    embed = TimestepEmbedding(16, nn)
    embedding, rows = embed(torch.zeros(3))
    assert torch.allclose(
        embedding[0], embedding[2], atol=1e-6
    )  # some products treat the last rows otherwise
    assert rows.shape == (3, 6, 16)


def test_other_devices_get_equal_heads_for_not_all_have_a_kernel_for_others(monkeypatch):
    shapes = []

    def kernel(q, k, v, attn_mask=None, **more):
        shapes.append((q.shape[1], k.shape[1], v.shape[1], more))
        return q

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", kernel)
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = (torch.empty(1, count, 9, 8, dtype=dtype, device="meta") for count in (4, 2, 2))
        attend(q, k, v)
    assert shapes == [(4, 4, 4, {})] * 2
