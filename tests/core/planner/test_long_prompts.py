"""What the network makes of a token after hundreds of others, step by step, is what one pass over all of them makes."""

import pytest
import torch

from acestep_core.planner.decoding import Decoder, StaticStep
from support.reference.planner import SIZES, head, pair

LENGTHS, ITEMS, TAIL = (300, 211), 3, 70  # of the two prompts; songs; tokens of each
REACH = 128  # the static step looks back further in the course of these prompts and tails


def plain(decoder):
    """Single tokens go the way of all others."""


def static(decoder):
    """Single tokens go the way that a device can record."""
    decoder._static = StaticStep(decoder.network, decoder.cache, capture=lambda step: step)


@pytest.fixture(scope="module")
def case():
    """Our network, two prompts, the songs' tokens, and transformers' logits [T + 1, R, V] of all that follows."""
    theirs, ours = pair()
    random = torch.Generator().manual_seed(1)
    prompts = [torch.randint(SIZES.vocab_size, (length,), generator=random).tolist() for length in LENGTHS]
    tails = torch.randint(SIZES.vocab_size, (ITEMS, TAIL), generator=random)
    whole = [
        theirs(torch.cat((torch.tensor([prompt] * ITEMS), tails), 1), use_cache=False).logits[
            :, len(prompt) - 1 :
        ]
        for prompt in prompts
    ]
    return ours, prompts, tails, torch.cat(whole).transpose(0, 1)


def decoder_of(case, prompts, kind):
    decoder = Decoder(case[0], prompts, ITEMS, TAIL)
    kind(decoder)
    return decoder


@torch.no_grad()
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0,), (1,), (0, 0)], ids=str)
@pytest.mark.parametrize("kind", [plain, static])
def test_every_step_behind_long_prompts_has_the_logits_of_one_pass(case, kind, order, monkeypatch):
    monkeypatch.setattr("acestep_core.planner.decoding.REACH", REACH)
    ours, prompts, tails, whole = case
    decoder = decoder_of(case, [prompts[number] for number in order], kind)
    rows = torch.cat([torch.arange(ITEMS) + ITEMS * number for number in order])

    torch.testing.assert_close(head(ours, decoder.hidden), whole[0, rows], atol=1e-4, rtol=0)
    for column, expected in zip(tails.T, whole[1:, rows], strict=True):
        torch.testing.assert_close(head(ours, decoder.feed(column[:, None])), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", [plain, static])
def test_pieces_and_single_tokens_may_take_turns(case, kind):
    ours, prompts, tails, whole = case
    decoder, fed = decoder_of(case, prompts, kind), 0
    for tokens in (1, 13, 1, 1, 30, 1):
        decoder.feed(tails[:, fed : fed + tokens])
        fed += tokens
        torch.testing.assert_close(head(ours, decoder.hidden), whole[fed], atol=1e-4, rtol=0)
