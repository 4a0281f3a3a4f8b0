"""Choosing tokens equals the rule told step by step, for any settings, any number of items and candidates."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.planner.token_sampling import AHEAD, LIKELY, Dice, SamplingParams, choose, guided, penalised
from support.reference.planner import plain_choice, uniforms

SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=0),
    SamplingParams(temperature=1.7, top_p=1.0),
    SamplingParams(top_p=0.3),
    SamplingParams(top_p=1.0, top_k=5),
    SamplingParams(top_k=7, top_p=0.6),
    SamplingParams(top_p=1.0, min_p=0.2),
    SamplingParams(top_k=30, top_p=0.95, min_p=0.05, temperature=0.5),
    SamplingParams(top_k=1),
    SamplingParams(top_k=10_000),
]


def logits_of(items, candidates, spread, seed=0):
    return spread * torch.randn(items, candidates, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("params", SETTINGS, ids=repr)
@pytest.mark.parametrize(("candidates", "spread"), [(9, 2.0), (300, 1.0), (3_000, 3.0), (3_000, 0.3)])
def test_the_choice_is_that_of_the_plain_rule(params, candidates, spread):
    logits = logits_of(40, candidates, spread)
    numbers = Dice(range(40)).roll(logits)
    plain = [
        plain_choice(row, params, number)
        for row, number in zip(logits.tolist(), numbers.tolist(), strict=True)
    ]
    assert choose(logits, params, numbers).tolist() == plain


@pytest.mark.parametrize("spread", [0.0, 0.01, 6.0])  # the nucleus: nearly all candidates, then a handful
def test_a_partial_sort_gives_what_a_full_one_does(spread, monkeypatch):
    logits, numbers = logits_of(8, 4 * LIKELY, spread), torch.linspace(0, 0.999, 8)
    for params in (SamplingParams(), SamplingParams(top_k=LIKELY), SamplingParams(top_p=0.5, min_p=0.01)):
        partial = choose(logits, params, numbers)
        monkeypatch.setattr("acestep_core.planner.token_sampling.LIKELY", 4 * LIKELY)
        full = choose(logits, params, numbers)
        monkeypatch.undo()
        assert torch.equal(partial, full)


def test_a_sharp_distribution_is_not_sorted_whole(monkeypatch):
    monkeypatch.setattr("acestep_core.planner.token_sampling.all_falling", None)
    assert choose(logits_of(2, 64_001, 6.0), SamplingParams(), torch.tensor([0.1, 0.9])).shape == (2,)


@given(st.integers(0, 2**24 - 1), st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40))
@example(0, [1.0])
def test_no_number_picks_a_candidate_that_has_no_chance(number, scores):
    logits = torch.tensor([[-math.inf, *scores, -math.inf]])
    for params in (SamplingParams(), SamplingParams(top_p=1.0), SamplingParams(top_p=0.5, min_p=0.1)):
        index = choose(logits, params, torch.tensor([number / 2**24])).item()
        assert logits[0, index] > -math.inf
        assert params.min_p == 0 or logits[0, index] >= max(scores) + 0.85 * math.log(0.1) - 1e-3


def test_candidates_that_are_equally_likely_stay_together():
    logits = torch.tensor([[2.0, 1.0, 1.0, 1.0, -9.0]])
    for params in (SamplingParams(top_k=2, top_p=1.0), SamplingParams(top_p=0.5, temperature=1.0)):
        drawn = {choose(logits, params, torch.tensor([number])).item() for number in (0.0, 0.55, 0.75, 0.99)}
        assert drawn == {0, 1, 2, 3}


def test_over_many_draws_candidates_come_as_often_as_they_should():
    chances = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    numbers = (torch.arange(2_000) + 0.5) / 2_000
    drawn = choose(chances.log().expand(2_000, -1), SamplingParams(temperature=1.0, top_p=1.0), numbers)
    assert (torch.bincount(drawn, minlength=4) / 2_000 - chances[0]).abs().max() < 1e-3


def test_guidance_goes_from_the_unconditional_through_the_conditional():
    logits = torch.randn(6, 11)
    conditional, unconditional = logits[:3], logits[3:]

    assert torch.allclose(guided(logits, 3, 1.0), conditional, atol=1e-6)
    assert torch.equal(guided(logits, 3, 0.0), unconditional)
    assert torch.allclose(guided(logits, 3, 3.0), 3 * conditional - 2 * unconditional, atol=1e-5)
    assert torch.equal(guided(conditional, 3, 3.0), conditional)


def test_guidance_is_computed_in_fp32():
    logits = torch.tensor([[1.0], [0.99609375]], dtype=torch.bfloat16)

    assert guided(logits, 1, 2.0).dtype == torch.float32
    assert guided(logits, 1, 2.0).item() == pytest.approx(1.00390625)  # bf16 has no such number


def test_the_penalty_makes_what_was_written_less_likely_whatever_its_sign():
    logits = torch.tensor([[2.0, -2.0, 2.0, -2.0], [1.0, 1.0, 1.0, 1.0]])
    written = torch.tensor([[True, True, False, False], [False, False, True, False]])

    assert penalised(logits, written, 2.0).tolist() == [[1.0, -4.0, 2.0, -2.0], [1.0, 1.0, 0.5, 1.0]]


def test_an_items_numbers_depend_on_its_seed_alone():
    dice, like = Dice([7, 8, 2**70 + 1]), torch.empty(0)
    rolled = torch.stack([dice.roll(like) for _ in range(50)], 1)

    assert rolled[0].tolist() == uniforms(7, 50)
    assert rolled[1].tolist() == uniforms(8, 50)
    onwards = [float(dice.roll(like)[0]) for _ in range(2 * AHEAD)]
    assert [*rolled[0].tolist(), *onwards] == uniforms(7, 50 + 2 * AHEAD)
    assert torch.equal(Dice([-3]).roll(like), Dice([2**64 - 3]).roll(like))
    assert (rolled >= 0).all()
    assert (rolled < 1).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": -0.1}, "temperature is -0.1.\nSet it at least 0."),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"cfg": -1.0}, "guidance is -1"),
        ({"top_p": 0.0}, "top-p is 0.\nSet it above 0 and at most 1."),
        ({"top_p": 1.1}, "top-p is 1.1"),
        ({"top_k": -1}, "top-k is -1"),
        ({"min_p": 1.5}, "min-p is 1.5"),
        ({"penalty": 0.0}, "repetition penalty is 0.\nSet it above 0."),
    ],
)
def test_settings_without_meaning_are_refused(wrong, said):
    with pytest.raises(InvalidInputError, match=said):
        SamplingParams(**wrong)
