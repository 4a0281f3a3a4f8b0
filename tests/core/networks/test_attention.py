"""The sliding window, against a plain statement of it."""

import math

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from acestep_core.networks import attention
from acestep_core.networks.attention import (
    Attention,
    KeyValue,
    Positions,
    Window,
    attend,
    attend_by_products,
    full_attention,
    windowed_attention,
)
from acestep_core.networks.config import StackConfig

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


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("tokens", [6, 7, 11, 12, 13, 40])
@pytest.mark.parametrize("reach", [1, 3, 5])
def test_blocks_of_the_window_equal_the_dense_mask(monkeypatch, tokens, reach, grouped):
    monkeypatch.setattr(attention, "has_grouped_kernel", lambda q: grouped)
    q, k, v = heads(tokens, 4), heads(tokens, 2, seed=1), heads(tokens, 2, seed=2)
    ours = windowed_attention(q, k, v, Window.of(tokens, reach, q))
    assert (ours - dense(q, k, v, reach)).abs().max() < 1e-6


def test_without_a_window_every_token_counts():
    q, k, v = heads(20, 4), heads(20, 2, seed=1), heads(20, 2, seed=2)
    (seen,) = full_attention([q], [k], [v])
    assert (seen - dense(q, k, v, 100)).abs().max() < 1e-6


def test_every_part_of_a_song_sees_the_whole_and_each_head_finds_its_keys_side_by_side(monkeypatch):
    q, k, v = heads(20, 4), heads(20, 2, seed=1), heads(20, 2, seed=2)
    side_by_side = []

    def attending(q, k, v):
        side_by_side.extend((k.is_contiguous(), v.is_contiguous()))
        return attend(q, k, v)

    monkeypatch.setattr(attention, "attend", attending)
    seen = list(full_attention(*(whole.split((8, 8, 4), 1) for whole in (q, k, v))))
    assert [part.shape[1] for part in seen] == [8, 8, 4]
    assert (torch.cat(seen, 1) - dense(q, k, v, 100)).abs().max() < 1e-6
    assert side_by_side == [True] * 6


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


def test_other_devices_get_equal_heads_for_not_all_have_a_kernel_for_others(monkeypatch):
    monkeypatch.setattr(attention, "has_instructions_alone", lambda: True)
    monkeypatch.setattr(attention, "LITTLE", 0)
    shapes = []

    def kernel(q, k, v, attn_mask=None, **more):
        shapes.append((q.shape[1], k.shape[1], v.shape[1], more))
        return q

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", kernel)
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = (torch.empty(1, count, 90, 8, dtype=dtype, device="meta") for count in (4, 2, 2))
        attend(q, k, v)
    assert shapes == [(4, 4, 4, {})] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_processor_takes_key_heads_as_they_are_with_a_mask_as_without(dtype, monkeypatch):
    monkeypatch.setattr(attention, "has_instructions_alone", lambda: False)
    q, k, v = (torch.zeros(1, count, 300, 8, dtype=dtype) for count in (4, 2, 2))
    for bias in (None, torch.zeros(1, 1, 1, 300, dtype=dtype)):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            attend(q, k, v, bias)
        asked = {event.key for event in seen.key_averages()}
        assert any("flash" in name for name in asked)  # and no product of all pairs
        assert not asked & {"aten::repeat", "aten::repeat_interleave", "aten::copy_", "aten::bmm"}


def far_from_exact(seen, q, k, v, bias):
    """How far attention in bf16 is from that of the same values in fp64."""
    q, k, v = q.double(), *(heads.double().repeat_interleave(q.shape[1] // k.shape[1], 1) for heads in (k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    exact = (scores if bias is None else scores + bias.double()).softmax(-1) @ v
    assert seen.shape == exact.shape
    assert seen.isfinite().all()
    return float((seen.double() - exact).norm() / exact.norm())


def asked_in_bf16(tokens, keys, size, masked):
    """Heads as the network has them, in another order than they lie in; `size` says how large scores are."""
    torch.manual_seed(tokens)
    q, k, v = (torch.randn(3, n, h, 128) for n, h in ((tokens, 4), (keys, 2), (keys, 2)))
    q, k, v = (heads.bfloat16().transpose(1, 2) for heads in (size * q, k, v))
    if not masked:
        return q, k, v, None
    bias = torch.zeros(masked[0], 1, tokens if masked[1] else 1, keys, dtype=torch.bfloat16)
    hidden = torch.rand(bias.shape) < 0.4
    hidden[..., 0] = False  # each sees something
    return q, k, v, bias.masked_fill(hidden, torch.finfo(torch.bfloat16).min)


@pytest.mark.parametrize("masked", [None, (1, False), (3, False), (3, True)])
@pytest.mark.parametrize("scores", [1 << 20, 9_000, 1])  # all at once, in parts with a rest, token by token
@pytest.mark.parametrize(("tokens", "keys"), [(40, 67), (129, 129)])
def test_products_attend_within_twice_what_the_kernel_rounds(monkeypatch, tokens, keys, scores, masked):
    monkeypatch.setattr(attention, "SCORES", scores)
    asked = asked_in_bf16(tokens, keys, 1.0, masked)
    kernel = torch.nn.functional.scaled_dot_product_attention(*asked[:3], asked[3], enable_gqa=True)
    seen = attend_by_products(*asked)
    assert far_from_exact(seen, *asked) < 2 * far_from_exact(kernel, *asked) < 0.01
    monkeypatch.setattr(attention, "has_instructions_alone", lambda: True)
    monkeypatch.setattr(attention, "LITTLE", 0)
    assert torch.equal(attend(*asked), seen)


@pytest.mark.parametrize(
    "size", [8.0, 100.0]
)  # scores of 30, and of 400, whose exponentials are beyond every number
def test_large_scores_are_told_apart_by_products_and_overflow_nothing(size):
    q, k, v, bias = asked_in_bf16(60, 200, size, (3, True))
    rounded = (q @ k.repeat_interleave(2, 1).mT / math.sqrt(128) + bias).softmax(-1) @ v.repeat_interleave(
        2, 1
    )
    asked = q, k, v, bias
    assert far_from_exact(attend_by_products(*asked), *asked) < far_from_exact(rounded, *asked) / 3
    assert far_from_exact(attend_by_products(*asked), *asked) < 0.006


def keys_scored(monkeypatch):
    """How many keys were asked for, time after time."""
    plain, asked = attention.scores, []

    def scores(rows, key, *more):
        asked.append(key.shape[1])
        return plain(rows, key, *more)

    monkeypatch.setattr(attention, "scores", scores)
    return asked


def test_how_large_scores_become_an_eighth_of_the_keys_tells(monkeypatch):
    asked = keys_scored(monkeypatch)
    attend_by_products(*asked_in_bf16(40, 67, 1.0, (3, True)))
    assert asked == [9, 67]


@pytest.mark.parametrize("size", [2, 5, 40])  # scores of 22, 55 and 450, and of the next key a little less
def test_rows_whose_largest_the_sample_misses_by_much_are_asked_anew(monkeypatch, size):
    q, k, v, bias = asked_in_bf16(40, 67, 1.0, None)
    k[:, 0, 5], k[:, 0, 6] = size * q[:, 0, 0], 0.97 * size * q[:, 0, 0]
    asked = keys_scored(monkeypatch)
    seen = attend_by_products(q, k, v)
    assert far_from_exact(seen, q, k, v, bias) < 0.006
    assert asked == [9, 67, 67, 67]


def test_a_sample_that_is_hidden_from_a_row_counts_for_nothing():
    q, k, v, bias = asked_in_bf16(40, 67, 1.0, (3, True))
    bias[1, :, 7, ::8] = torch.finfo(torch.bfloat16).min
    bias[1, :, 7, 3] = 0
    assert far_from_exact(attend_by_products(q, k, v, bias), q, k, v, bias) < 0.006


def test_products_are_for_much_in_bf16_where_the_kernel_has_no_units_and_onednn_is_there(monkeypatch):
    asked = []
    monkeypatch.setattr(attention, "attend_by_products", lambda q, *more: asked.append(q.shape[2]))
    monkeypatch.setattr(attention, "LITTLE", 4 * 8 * 32 * 50)  # heads, their width, queries, keys
    for alone in (False, True):
        monkeypatch.setattr(attention, "has_instructions_alone", lambda alone=alone: alone)
        for dtype in (torch.float32, torch.bfloat16):
            for tokens in (1, 32, 33):
                q, k = torch.zeros(1, 4, tokens, 8, dtype=dtype), torch.zeros(1, 2, 50, 8, dtype=dtype)
                attend(q, k, k)
    assert asked == [33]
    attend(q.requires_grad_(), k, k)  # training keeps the kernel, which keeps no scores
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)  # products would crawl
    attend(q.detach(), k, k)
    assert asked == [33]


def test_a_window_and_a_context_for_several_songs_are_seen_by_products_as_by_the_kernel(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(attention, "LITTLE", 0)
    layer = Attention(STACK, nn).bfloat16().requires_grad_(False)
    x, told = torch.randn(3, 300, 32).bfloat16(), torch.randn(1, 70, 32).bfloat16()
    seen = []
    for alone in (False, True):
        monkeypatch.setattr(attention, "has_instructions_alone", lambda alone=alone: alone)
        inside = layer(x, Positions.of(300, STACK, x))
        across = layer.cross_attend(x, layer.key_values(told))
        seen.append(torch.cat((inside, across)).float())
    assert (seen[0] - seen[1]).norm() < 0.01 * seen[0].norm()


@pytest.mark.parametrize(
    ("instructions", "units", "alone"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_processor_with_units_for_bf16_keeps_the_kernel(monkeypatch, instructions, units, alone):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units, raising=False)
    assert attention.has_instructions_alone.__wrapped__() == alone
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")  # as an older torch has it
    assert not attention.has_instructions_alone.__wrapped__()


def test_probabilities_are_those_that_attention_itself_works_with():
    torch.manual_seed(0)
    layer = Attention(StackConfig(24, 40, 4, 2, 8, 1e-6, 1e6, None), nn)
    x, context = torch.randn(2, 7, 24), torch.randn(2, 9, 24)
    bias = torch.zeros(2, 1, 1, 9)
    bias[1, ..., 6:] = torch.finfo(torch.float32).min
    told = layer.key_values(context, bias)
    found = layer.probabilities(x, told, (3, 0, 1))
    value = told.value.repeat_interleave(2, 1)[:, [3, 0, 1]]
    q = layer.q_norm(layer.q_proj(x).unflatten(-1, (4, 8))).transpose(1, 2)
    wanted = attend(q, told.key, told.value, bias)[:, [3, 0, 1]]
    assert ((found @ value) - wanted).abs().max() < 1e-6
    assert found.shape == (2, 3, 7, 9)
    assert not found[1, ..., 6:].any()
    assert found.dtype == torch.float32


def test_probabilities_of_half_precision_are_counted_in_fp32():
    torch.manual_seed(0)
    layer = Attention(StackConfig(24, 40, 4, 2, 8, 1e-6, 1e6, None), nn).to(torch.bfloat16)
    x = torch.randn(1, 7, 24).to(torch.bfloat16)
    found = layer.probabilities(x, layer.key_values(torch.randn(1, 900, 24).to(torch.bfloat16)), (2,))
    assert found.dtype == torch.float32
    assert (found.sum(-1) - 1).abs().max() < 1e-5
