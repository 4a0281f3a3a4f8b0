"""Tokens get the hidden states of one pass over everything, whichever way they are fed."""

import pytest
import torch

from acestep_core.planner.decoding import Decoder, StaticStep
from support.reference.oracle import CASTING
from support.reference.planner import head, logits_after, pair

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
TAILS = torch.tensor([[50, 61, 55, 70, 52], [71, 71, 50, 66, 79], [64, 50, 51, 52, 53]])


def decoder_of(network, items, room=8, prompts=(PROMPT, NEGATIVE)):
    return Decoder(network, prompts, items, room)


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


def test_it_computes_in_another_dtype_where_layers_can_cast():
    _, ours = pair(ops=CASTING)
    fine, stored = decoder_of(ours, 2), ours.to(torch.bfloat16)
    half = Decoder(stored, (PROMPT, NEGATIVE), 2, 8, dtype=torch.float32)
    assert half.feed(TAILS[:2, :1]).dtype == half.cache.keys.dtype == torch.float32
    assert (half.hidden - fine.feed(TAILS[:2, :1])).abs().max() < 0.5
