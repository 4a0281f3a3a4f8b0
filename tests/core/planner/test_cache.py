"""The cache has its room from the start, and nothing of it is seen but what was put there."""

import torch

from acestep_core.planner.cache import ALIGNED, EagerView, KeyValueCache, StaticView
from acestep_core.planner.decoding import Decoder, StaticStep
from support.reference.planner import SIZES, pair

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
TAILS = torch.tensor([[50, 61, 55, 70, 52], [71, 71, 50, 66, 79], [64, 50, 51, 52, 53]])
HEADS, SHARED, WIDE = SIZES.num_attention_heads, SIZES.num_key_value_heads, SIZES.head_dim


def static_of(network, items):
    """A decoder whose single tokens go through a static step, as on a device that records."""
    decoder = Decoder(network, (PROMPT, NEGATIVE), items, 8)
    decoder._static = StaticStep(network, decoder.cache, lambda step: step)
    return decoder


def cache_of(prompts, items, capacity=ALIGNED):
    return KeyValueCache(SIZES, prompts, items, capacity, torch.device("cpu"), torch.float32)


def heads_of(rows, tokens, seed):
    """Queries, keys and values of some tokens."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, tokens, heads, WIDE, generator=generator) for heads in (HEADS, SHARED, SHARED))


def test_capacity_is_rounded_up_to_what_attention_is_fast_over():
    assert [cache_of(1, 1, tokens).capacity for tokens in (1, ALIGNED, ALIGNED + 1)] == [
        ALIGNED,
        ALIGNED,
        2 * ALIGNED,
    ]


def test_all_items_of_a_prompt_share_what_its_first_row_was_fed_and_no_other_prompt_does():
    cache = cache_of(2, 3)
    cache.view_of_prompt(1, 5).attend(0, *heads_of(1, 5, 0))
    cache.share(1, 5)

    assert cache.lengths == [0, 5]
    assert cache.keys[0, 3:, :, :5].abs().amin() > 0
    assert torch.equal(cache.keys[0, 3:], cache.keys[0, 3:4].expand(3, -1, -1, -1))
    assert not cache.keys[0, :3].any()


def test_both_views_attend_alike_and_store_alike():
    eager, static = cache_of(2, 2), cache_of(2, 2)
    for cache in (eager, static):
        for prompt, tokens in enumerate((5, 3)):
            cache.view_of_prompt(prompt, tokens).attend(0, *heads_of(1, tokens, prompt))
            cache.share(prompt, tokens)
    q, k, v = heads_of(4, 1, 7)
    views = eager.view_of_next(1), StaticView(static, torch.tensor([5, 5, 3, 3]), ALIGNED)
    assert isinstance(views[0], EagerView)
    out = [view.attend(0, q, k, v) for view in views]

    torch.testing.assert_close(*out)
    assert torch.equal(eager.keys, static.keys)
    assert torch.equal(eager.values, static.values)
    assert torch.equal(views[0].rotary.cos, views[1].rotary.cos)


def test_nothing_grows_while_tokens_are_read():
    _, ours = pair()
    decoder = Decoder(ours, (PROMPT, NEGATIVE), 2, 8)
    kept = [decoder.cache.keys.data_ptr(), decoder.cache.values.data_ptr(), decoder.cache.keys.shape]
    for column in TAILS[:2].T:
        decoder.feed(column[:, None])
    assert kept == [decoder.cache.keys.data_ptr(), decoder.cache.values.data_ptr(), decoder.cache.keys.shape]


def test_room_that_was_never_filled_is_never_seen():
    _, ours = pair()
    clean, dirty = (static_of(ours, 3) for _ in range(2))
    for heads in (dirty.cache.keys, dirty.cache.values):
        for prompt, ids in enumerate((PROMPT, NEGATIVE)):
            heads[:, 3 * prompt : 3 * prompt + 3, :, len(ids) :] = 1e3
    for column in TAILS.T:
        expected = clean.feed(column[:, None])
        torch.testing.assert_close(dirty.feed(column[:, None]), expected, atol=1e-5, rtol=0)
