"""The planner's network equals transformers' Qwen3, whichever way its tokens are fed."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.cache import KeyValueCache
from acestep_core.planner.decoding import Decoder, StaticStep
from acestep_core.planner.network import PlannerNetwork
from support.reference.oracle import CASTING
from support.reference.planner import SIZES, head, logits_after, pair
from support.tiny.shapes import qwen_shapes

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
TAILS = torch.tensor([[50, 61, 55, 70, 52], [71, 71, 50, 66, 79], [64, 50, 51, 52, 53]])
ROWS, QWEN_ROWS = 217_204, 151_936
PUBLISHED = {  # hidden, ffn, layers, heads, parameters of the Qwen3 that it was made of
    "0.6B": (1024, 3072, 28, 16, 596_049_920),
    "1.7B": (2048, 6144, 28, 16, 1_720_574_976),
    "4B": (2560, 9728, 36, 32, 4_022_468_096),
}


def logits_of(network, ids):
    cache = KeyValueCache(network.sizes, 1, 1, len(ids), torch.device("cpu"), torch.float32)
    hidden = network(torch.tensor([ids]), cache.view_of_prompt(0, len(ids)))
    return head(network, hidden[0])


def decoder_of(network, items, room=8, prompts=(PROMPT, NEGATIVE)):
    return Decoder(network, prompts, items, room)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_logits_equal_those_of_transformers_at_every_position(tied, kv_heads):
    theirs, ours = pair(replace(SIZES, num_key_value_heads=kv_heads), tied)
    ids = torch.randint(0, 90, (40,), generator=torch.Generator().manual_seed(1)).tolist()

    torch.testing.assert_close(logits_of(ours, ids), theirs(torch.tensor([ids])).logits[0], atol=1e-4, rtol=0)


def test_a_tied_head_is_the_table_and_an_untied_one_is_its_own():
    for tied, expected in ((True, "embed_tokens"), (False, "lm_head")):
        _, ours = pair(tied=tied)
        assert (
            ours.rows(slice(3, 9), torch.device("cpu"), torch.float32).data_ptr()
            == getattr(ours, expected).weight[3:].data_ptr()
        )


@pytest.mark.parametrize("tokens", [slice(12, 40), torch.tensor([1, 17, 88])])
def test_a_slice_of_the_head_gives_a_slice_of_the_logits(tokens):
    theirs, ours = pair()
    hidden = torch.randn(4, SIZES.hidden_size)

    torch.testing.assert_close(head(ours, hidden, tokens), theirs.lm_head(hidden)[:, tokens])


@pytest.mark.parametrize("tokens", [slice(5, 9), torch.tensor([1, 17, 88, 2])])
def test_the_table_is_cut_before_it_is_cast(tokens):
    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if result.dtype == torch.float64:
                self.numbers = max(self.numbers, result.numel())
            return result

    _, ours = pair()
    with Largest() as cast:
        rows = ours.rows(tokens, torch.device("cpu"), torch.float64)

    assert torch.equal(rows, ours.embed_tokens.weight[tokens].double())
    assert cast.numbers == rows.numel() == 4 * SIZES.hidden_size


@pytest.mark.parametrize(
    "prompts", [(PROMPT,), (PROMPT, NEGATIVE), (NEGATIVE, PROMPT), (PROMPT, PROMPT[::-1])]
)
@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (5,), (2, 3), (1, 4)])
def test_tokens_fed_in_pieces_get_the_logits_of_one_pass(prompts, pieces):
    theirs, ours = pair()
    decoder = decoder_of(ours, len(TAILS), prompts=prompts)
    fed = 0
    for number in (0, *pieces):
        if number:
            decoder.feed(TAILS[:, fed : fed + number])
            fed += number
        whole = [logits_after(theirs, [*ids, *tail[:fed].tolist()]) for ids in prompts for tail in TAILS]
        torch.testing.assert_close(head(ours, decoder.hidden), torch.stack(whole), atol=1e-4, rtol=0)


def static_of(network, items, capture=lambda step: step, **more):
    """A decoder whose single tokens go through a static step, as on a device that records."""
    decoder = decoder_of(network, items, **more)
    decoder._static = StaticStep(network, decoder.cache, capture)
    return decoder


@pytest.mark.parametrize("prompts", [(PROMPT,), (PROMPT, NEGATIVE)])
@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (2, 1, 1, 1), (1, 3, 1), (1, 1, 2, 1)])
def test_the_static_step_equals_the_plain_one(prompts, pieces):
    _, ours = pair()
    decoders = [make(ours, 3, prompts=prompts) for make in (decoder_of, static_of)]
    for tokens in TAILS.split(pieces, 1):
        plain, static = (decoder.feed(tokens).clone() for decoder in decoders)
        torch.testing.assert_close(static, plain, atol=1e-5, rtol=0)


def test_the_static_step_may_be_run_again_before_the_next_token(monkeypatch):
    _, ours = pair()
    monkeypatch.setattr("acestep_core.planner.decoding.REACH", 4)
    recordings = []

    def record(step):
        recordings.append([step(), step()])  # warmed up, as a recording is
        return step

    once, again = (static_of(ours, 3, *more) for more in ((), (record,)))
    for column in TAILS.T:
        assert torch.equal(once.feed(column[:, None]), again.feed(column[:, None]))
    assert len(recordings) == 2  # 8 tokens first, then 12: one for each reach, not for each token


def test_who_refuses_to_record_is_not_asked_again(monkeypatch):
    _, ours = pair()
    monkeypatch.setattr("acestep_core.planner.decoding.REACH", 4)
    asked = []
    refused, plain = static_of(ours, 3, asked.append), decoder_of(ours, 3)
    for column in TAILS.T:
        expected = plain.feed(column[:, None])
        torch.testing.assert_close(refused.feed(column[:, None]), expected, atol=1e-5, rtol=0)
    assert len(asked) == 1


def test_the_cpu_records_nothing():
    _, ours = pair()
    assert Decoder(ours, (PROMPT,), 1, 8, record=True)._static is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("reach", [4, 1024])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_recorded_step_equals_the_plain_one(monkeypatch, reach, stored, mode):
    monkeypatch.setattr("acestep_core.planner.decoding.REACH", reach)
    ours = pair(ops=CASTING)[1].cuda().to(stored)
    dtype = torch.float32 if stored == torch.float32 else torch.bfloat16
    with mode():
        recorded, plain = (
            Decoder(ours, (PROMPT, NEGATIVE), 3, 8, dtype=dtype, record=record) for record in (True, False)
        )
        assert recorded._static is not None
        for column in TAILS.T.cuda():
            expected = plain.feed(column[:, None])
            torch.testing.assert_close(recorded.feed(column[:, None]), expected, atol=2e-2, rtol=2e-2)


def test_nothing_grows_while_tokens_are_read():
    _, ours = pair()
    decoder = decoder_of(ours, 2)
    kept = [decoder.cache.keys.data_ptr(), decoder.cache.values.data_ptr(), decoder.cache.keys.shape]
    for column in TAILS[:2].T:
        decoder.feed(column[:, None])
    assert kept == [decoder.cache.keys.data_ptr(), decoder.cache.values.data_ptr(), decoder.cache.keys.shape]


def test_a_prompt_is_read_once_however_many_items_follow_it():
    _, ours = pair()
    seen = []
    ours.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    decoder = decoder_of(ours, 3)
    decoder.feed(TAILS[:, :1])

    assert seen == [(1, len(PROMPT)), (1, len(NEGATIVE)), (6, 1)]


def test_an_item_alone_is_the_item_in_a_batch():
    _, ours = pair()
    together, alone = decoder_of(ours, 3), decoder_of(ours, 1)
    for column in TAILS.T:
        rows = together.feed(column[:, None])[1::3]
        torch.testing.assert_close(alone.feed(column[1:2, None]), rows, atol=1e-5, rtol=0)


def test_room_that_was_never_filled_is_never_seen():
    _, ours = pair()
    clean, dirty = static_of(ours, 3), static_of(ours, 3)
    for heads in (dirty.cache.keys, dirty.cache.values):
        for prompt, ids in enumerate((PROMPT, NEGATIVE)):
            heads[:, 3 * prompt : 3 * prompt + 3, :, len(ids) :] = 1e3
    for column in TAILS.T:
        expected = clean.feed(column[:, None])
        torch.testing.assert_close(dirty.feed(column[:, None]), expected, atol=1e-5, rtol=0)


def test_it_computes_in_another_dtype_where_layers_can_cast():
    _, ours = pair(ops=CASTING)
    fine, stored = decoder_of(ours, 2), ours.to(torch.bfloat16)
    half = Decoder(stored, (PROMPT, NEGATIVE), 2, 8, dtype=torch.float32)
    assert half.feed(TAILS[:2, :1]).dtype == half.cache.keys.dtype == torch.float32
    assert (half.hidden - fine.feed(TAILS[:2, :1])).abs().max() < 0.5


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_planners_have_their_rows_and_parameters(name):
    hidden, ffn, layers, heads, parameters = PUBLISHED[name]
    config = {
        "vocab_size": ROWS,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
    sizes = Qwen3Sizes.from_shapes(qwen_shapes(config))
    with torch.device("meta"):
        network = PlannerNetwork(sizes, nn)

    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == qwen_shapes(config)
    assert network.embed_tokens.weight.shape == (ROWS, hidden)
    counted = sum(weight.numel() for weight in network.parameters())
    assert counted == parameters + (ROWS - QWEN_ROWS) * hidden
