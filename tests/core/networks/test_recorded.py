"""Recorded evaluations answer as plain ones do, whatever comes in between; the recording itself needs a card."""

from copy import deepcopy
from weakref import WeakMethod

import pytest
import torch

from acestep_core.networks.cuda_graph import recorded
from acestep_core.networks.dit import CrossAttended
from acestep_core.networks.recorded import Recorder, Shown, evaluate
from support.reference.oracle import furthest, transformers_of

EXACT = 1e-6


@pytest.fixture(params=["2B-like", "XL-like"])
def network(request):
    return transformers_of(request.param)[1]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shown_to(network, frames=20, tokens=9, songs=1, guided=False, seed=0):
    where = network.null_condition_emb
    context = random(songs, frames, 16, seed=seed).to(where)
    key_values = network.key_values(list(random(songs, tokens, 48, seed=seed + 1).to(where)))
    attended = CrossAttended(key_values, network.null_outputs(context) if guided else None)
    return Shown(context, attended, network.positions(frames, context))


def asked(network, shown, count, seed=0):
    """Questions: noisy latents, and their moments."""
    songs, frames, _ = shown.context.shape
    moments = network.modulations(torch.linspace(1, 0.2, count).to(shown.context))
    return [
        (random(songs, frames, 8, seed=seed + i).to(shown.context), moment)
        for i, moment in enumerate(moments)
    ]


class Card:
    """Records as a card does: runs the step, keeps it, and replays it on what its tensors hold by then."""

    def __init__(self, waits=True, refuses=False, forgets=False):
        self.watched = self.recorded = self.replayed = 0
        self._waits, self._refuses, self._forgets = waits, refuses, forgets

    def pays(self, step):
        self.watched += 1
        step()
        return self._waits

    def capture(self, step):
        self.recorded += 1
        step()
        return None if self._refuses else lambda: self._replay(step)

    def _replay(self, step):
        self.replayed += 1
        if not self._forgets:
            step()


def recorder(network, card):
    return Recorder(network, card.pays, card.capture)


@pytest.mark.parametrize("frames", [1, 20, 41])
@pytest.mark.parametrize("songs", [1, 3])
@pytest.mark.parametrize("guided", [False, True])
def test_a_recorded_run_equals_the_plain_one(network, frames, songs, guided):
    card, shown = Card(), shown_to(network, frames, songs=songs, guided=guided)
    evaluated = recorder(network, card)
    answers = [(evaluated(*question, shown), question) for question in asked(network, shown, 6)]
    for answer, question in answers:  # none was written over since
        plain = evaluate(network, *question, shown)
        assert furthest(answer.cond, plain.cond) < EXACT
        assert guided == (answer.uncond is not None)
        assert not guided or furthest(answer.uncond, plain.uncond) < EXACT
    assert (card.watched, card.recorded, card.replayed) == (1, 1, 6)  # one of them is the proof


def test_other_conditions_another_branch_or_another_length_take_the_recordings_place(network):
    card = Card()
    evaluated = recorder(network, card)
    stages = [
        shown_to(network),
        shown_to(network, guided=True),
        shown_to(network, tokens=4, seed=5),
        shown_to(network, frames=33, seed=6),
    ]
    for shown in [*stages, stages[0]]:
        for question in asked(network, shown, 3):
            plain = evaluate(network, *question, shown)
            assert furthest(evaluated(*question, shown).cond, plain.cond) < EXACT
    assert (card.recorded, card.replayed) == (5, 15)


def test_what_is_asked_once_is_not_recorded(network):
    card = Card()
    evaluated = recorder(network, card)
    for shown in (shown_to(network), shown_to(network, guided=True), shown_to(network)):
        evaluated(*asked(network, shown, 1)[0], shown)
    assert (card.watched, card.recorded) == (3, 0)


def test_a_card_that_is_busy_anyway_records_nothing(network):
    card, shown = Card(waits=False), shown_to(network)
    evaluated = recorder(network, card)
    for question in asked(network, shown, 4):
        assert furthest(evaluated(*question, shown).cond, evaluate(network, *question, shown).cond) < EXACT
    assert (card.watched, card.recorded, card.replayed) == (1, 0, 0)


def test_who_refuses_to_record_is_not_asked_again_and_answers_as_before(network):
    card = Card(refuses=True)
    evaluated = recorder(network, card)
    for shown in (shown_to(network), shown_to(network, guided=True)):
        for question in asked(network, shown, 4):
            plain = evaluate(network, *question, shown)
            assert furthest(evaluated(*question, shown).cond, plain.cond) < EXACT
    assert (card.watched, card.recorded) == (1, 1)


def test_a_recording_that_answers_otherwise_is_not_believed(network):
    card, shown = Card(forgets=True), shown_to(network, guided=True)
    evaluated = recorder(network, card)
    for question in asked(network, shown, 4):
        plain = evaluate(network, *question, shown)
        answer = evaluated(*question, shown)
        assert max(furthest(answer.cond, plain.cond), furthest(answer.uncond, plain.uncond)) < EXACT
    assert (card.recorded, card.replayed) == (1, 1)


def test_the_old_recordings_memory_is_free_before_the_next_evaluation(network):
    held = []

    class Kept:
        def __init__(self, step):
            self._step = WeakMethod(step)  # a card's recording holds addresses alone

        def __call__(self):
            self._step()()

        def __del__(self):
            held.append("freed")

    def pays(step):
        held.append("watched")
        step()
        return True

    evaluated = Recorder(network, pays, Kept)
    for shown in (shown_to(network), shown_to(network, seed=3)):
        for question in asked(network, shown, 2):
            evaluated(*question, shown)
    assert held == ["watched", "freed", "watched"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_cards_recording_equals_the_plain_evaluation(network, guided, mode):
    with mode():
        on_card = deepcopy(network).cuda()
        shown = shown_to(on_card, guided=guided)
        evaluated = Recorder(on_card, lambda step: step() is None, recorded)
        for question in asked(on_card, shown, 5):
            answer, plain = evaluated(*question, shown), evaluate(on_card, *question, shown)
            torch.testing.assert_close(answer.cond, plain.cond, atol=1e-3, rtol=1e-3)
