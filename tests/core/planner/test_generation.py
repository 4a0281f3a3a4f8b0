"""The loops write what a plain loop over the whole network writes, and stop where they are told to."""

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.planner.decoding import Reader
from acestep_core.planner.generation import Candidates, compose_codes, write_text
from acestep_core.planner.token_sampling import Choice
from support.reference.planner import (
    CODES,
    END,
    SIZES,
    logits_after,
    pair,
    plain_choice,
    plain_composition,
    uniforms,
)

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
SEEDS, COUNT = [11, 12, 2**40], 14
FREE = torch.tensor([*range(10, 30), 60, 88])


class StoppedError(Exception):
    pass


class Steps:
    """A walk along a list: forced tokens, allowed ids, or ("greedy", allowed ids)."""

    def __init__(self, *steps):
        self.steps, self.place, self.within = steps, 0, 0
        self.taken = []

    @property
    def done(self):
        return self.place == len(self.steps)

    @property
    def greedy(self):
        return self.steps[self.place][0] == "greedy"

    def forced(self):
        step = self.steps[self.place]
        return step if isinstance(step, tuple) and step[0] != "greedy" else ()

    def allowed(self):
        return self.steps[self.place][1] if self.greedy else self.steps[self.place]

    def take(self, token):
        self.taken.append(token)
        forced = self.forced()
        self.within = self.within + 1 if self.within + 1 < len(forced) else 0
        self.place += self.within == 0


def composed(planner, prompt=PROMPT, negative=NEGATIVE, seeds=SEEDS, choice=Choice(), **more):  # noqa: B008
    return compose_codes(planner, prompt, negative, CODES, END, COUNT, seeds, choice, **more)


@pytest.mark.parametrize("negative", [None, NEGATIVE, [*PROMPT, 9, 9, 21]])
@pytest.mark.parametrize(
    "choice",
    [
        Choice(temperature=0),
        Choice(),
        Choice(temperature=1.3, cfg=3.5, top_p=1.0, penalty=1.4),
        Choice(top_k=9, top_p=0.8, min_p=0.02),
    ],
    ids=repr,
)
def test_codes_are_those_of_a_plain_loop(negative, choice):
    theirs, ours = pair()
    plain = [plain_composition(theirs, PROMPT, negative, COUNT, seed, choice) for seed in SEEDS]

    assert [codes.tolist() for codes in composed(ours, negative=negative, choice=choice)] == plain


def test_an_untied_head_is_the_one_that_writes():
    theirs, ours = pair(tied=False)
    plain = plain_composition(theirs, PROMPT, None, COUNT, SEEDS[0], Choice())

    assert composed(ours, negative=None, seeds=SEEDS[:1])[0].tolist() == plain


def test_an_item_alone_is_the_item_in_a_batch():
    _, ours = pair()
    together = composed(ours)
    for seed, codes in zip(SEEDS, together, strict=True):
        assert torch.equal(composed(ours, seeds=[seed])[0], codes)


def test_codes_are_numbers_from_zero_and_as_many_as_asked_for():
    _, ours = pair()
    for codes in composed(ours):
        assert (codes.dtype, codes.device.type, len(codes)) == (torch.int64, "cpu", COUNT)
        assert ((codes >= 0) & (codes < len(CODES))).all()
    assert [len(codes) for codes in compose_codes(ours, PROMPT, None, CODES, END, 0, SEEDS, Choice())] == [
        0
    ] * 3


@pytest.mark.parametrize("choice", [Choice(cfg=1.0), Choice(cfg=2.0)])
def test_without_guidance_the_negative_prompt_is_not_read(choice):
    _, ours = pair()
    rows = []
    ours.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    composed(ours, choice=choice)

    assert rows[-1] == len(SEEDS) * (1 if choice.cfg == 1 else 2)


def eager_to_end():
    """A planner that likes the end token as much as any code."""
    _, ours = pair()
    ours.embed_tokens.weight[END] = 2 * ours.embed_tokens.weight[CODES.start]
    return ours


def test_an_item_that_may_stop_keeps_its_place_and_disturbs_nobody():
    ours, seeds = eager_to_end(), list(range(8))
    songs = composed(ours, seeds=seeds, may_stop=True)

    assert len({len(song) for song in songs}) > 2
    for seed, song in zip(seeds, songs, strict=True):
        assert torch.equal(composed(ours, seeds=[seed], may_stop=True)[0], song)


def test_a_song_has_a_code_at_least_and_the_end_of_all_ends_the_run():
    _, ours = pair()
    heard = []
    ours.embed_tokens.weight[END] = 50 * Reader(ours, [PROMPT], 1, 1, ours.norm.weight).hidden[0]
    songs = composed(ours, negative=None, may_stop=True, listener=lambda *progress: heard.append(progress))

    assert [len(song) for song in songs] == [len(song) for song in songs if len(song)]
    assert heard == [(step, COUNT) for step in range(1, len(heard) + 1)]
    assert len(heard) == min(COUNT, 1 + max(map(len, songs)))


def test_who_may_not_stop_never_does():
    assert [len(song) for song in composed(eager_to_end(), seeds=range(8))] == [COUNT] * 8


def test_the_listener_hears_every_token_and_can_stop_at_any():
    _, ours = pair()
    for last in (1, 5, COUNT):
        heard, forwards = [], []
        handle = ours.register_forward_pre_hook(lambda _, given, forwards=forwards: forwards.append(given))

        def listener(done, total, heard=heard, last=last):
            heard.append((done, total))
            if done == last:
                raise StoppedError

        with pytest.raises(StoppedError):
            composed(ours, listener=listener)
        handle.remove()
        assert heard == [(done, COUNT) for done in range(1, last + 1)]
        assert len(forwards) == 2 + last - 1  # two prompts, and a step after each code but the last one heard


def test_a_run_leaves_nothing_behind():
    _, ours = pair()
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    state, first = torch.get_rng_state(), composed(ours)

    assert all(torch.equal(before[key], value) for key, value in ours.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(map(torch.equal, first, composed(ours)))


def test_nobody_and_nothing_are_refused():
    _, ours = pair()
    with pytest.raises(InvalidInputError, match="no seed"):
        composed(ours, seeds=[])
    for prompt, negative in (([], None), (PROMPT, [])):
        with pytest.raises(InvalidInputError, match="prompt of the planner is empty"):
            composed(ours, prompt, negative)


def plain_text(theirs, prompt, negative, steps, choice, seed):
    numbers, text = iter(uniforms(seed, 100)), []
    for step in steps:
        greedy = isinstance(step, tuple) and step[0] == "greedy"
        if isinstance(step, tuple) and not greedy:
            text += step
            continue
        ids = step[1] if greedy else step
        logits = logits_after(theirs, [*prompt, *text])
        if negative is not None:
            away = logits_after(theirs, [*negative, *text])
            logits = away + choice.cfg * (logits - away)
        seen = [place for place, token in enumerate(ids.tolist()) if token in text]
        if greedy:
            own = Choice(temperature=0, penalty=choice.penalty)
            text.append(int(ids[plain_choice(logits[ids].tolist(), own, 0.0, seen)]))
        else:
            text.append(int(ids[plain_choice(logits[ids].tolist(), choice, next(numbers), seen)]))
    return text


FEW = torch.tensor([0, 89])  # far apart: their rows are gathered
ROAD = ((1, 2, 3), FREE, FREE, ("greedy", FREE), (4,), (5, 6), FEW, FREE, ("greedy", FEW), FREE, FREE, (9,))


@pytest.mark.parametrize("negative", [None, NEGATIVE, [*PROMPT, 9, 9, 21]])
@pytest.mark.parametrize(
    "choice", [Choice(temperature=0), Choice(), Choice(penalty=3.0, top_p=1.0)], ids=repr
)
def test_a_text_is_that_of_a_plain_loop(negative, choice):
    theirs, ours = pair()
    walk = Steps(*ROAD)
    text = write_text(ours, PROMPT, negative, walk, choice, 5, 40)

    assert text == walk.taken == plain_text(theirs, PROMPT, negative, ROAD, choice, 5)


def test_forced_tokens_cost_no_step_of_their_own():
    _, ours = pair()
    shapes = []
    ours.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    write_text(ours, PROMPT, NEGATIVE, Steps(*ROAD), Choice(), 5, 40)

    prompts, steps = shapes[:2], [tokens for _, tokens in shapes[2:]]
    assert prompts == [(1, len(PROMPT)), (1, len(NEGATIVE))]
    assert steps == [
        3,
        1,
        1,
        1 + 1 + 2,
        1,
        1,
        1,
        1,
    ]  # before every choice, all that came since the one before


@pytest.mark.parametrize("limit", [0, 1, 2, 4, 9])
def test_a_text_is_cut_at_its_limit_even_within_forced_tokens(limit):
    _, ours = pair()
    whole = write_text(ours, PROMPT, None, Steps(*ROAD), Choice(), 5, 40)
    walk = Steps(*ROAD)

    assert write_text(ours, PROMPT, None, walk, Choice(), 5, limit) == whole[:limit] == walk.taken


def test_the_listener_hears_every_token_of_a_text_and_can_stop_at_any():
    _, ours = pair()
    for last in (1, 3, 4, 9):
        walk = Steps(*ROAD)

        def listener(done, total, last=last):
            assert total == 40
            if done == last:
                raise StoppedError

        with pytest.raises(StoppedError):
            write_text(ours, PROMPT, NEGATIVE, walk, Choice(), 5, 40, listener)
        assert len(walk.taken) == last


def test_a_few_head_rows_are_gathered_once_and_many_are_used_where_they_lie():
    _, ours = pair()
    cuts, rows = [], ours.rows
    ours.rows = lambda tokens, like: cuts.append(tokens) or rows(tokens, like)
    write_text(ours, PROMPT, NEGATIVE, Steps(*ROAD), Choice(), 5, 40)

    assert [len(ids) for ids in cuts] == [2]
    _, many, _ = Candidates(ours, torch.zeros(1, SIZES.hidden_size))._prepared(FREE)
    assert many.untyped_storage().data_ptr() == ours.embed_tokens.weight.untyped_storage().data_ptr()


@pytest.mark.parametrize("ids", [FREE, FEW, torch.arange(20, 40), torch.tensor([33])])
def test_logits_of_allowed_tokens_are_theirs_among_all(ids):
    _, ours = pair()
    hidden = torch.randn(2, SIZES.hidden_size)
    candidates = Candidates(ours, hidden)
    for _ in range(2):
        torch.testing.assert_close(candidates.logits(hidden, ids), ours.head(hidden, slice(None))[:, ids])


def test_equal_sets_in_different_objects_are_not_mixed_up():
    _, ours = pair()
    hidden = torch.randn(1, SIZES.hidden_size)
    candidates = Candidates(ours, hidden)
    for start in range(80):  # each would get the address of the one before if nobody held it
        ids = torch.arange(start // 2, 85, 5 if start % 2 else 1)
        torch.testing.assert_close(candidates.logits(hidden, ids), ours.head(hidden, ids))


@pytest.mark.parametrize("choice", [Choice(), Choice(temperature=0), Choice(cfg=1.0)])
@pytest.mark.parametrize("may_stop", [False, True])
def test_numbers_that_are_none_are_refused_instead_of_becoming_codes(choice, may_stop):
    _, ours = pair()
    with torch.no_grad():
        ours.norm.weight.fill_(torch.nan)

    with pytest.raises(InvalidInputError, match=r"not finite(.|\n)*bf16"):
        composed(ours, choice=choice, may_stop=may_stop)
    with pytest.raises(InvalidInputError, match=r"not finite(.|\n)*bf16"):
        write_text(ours, PROMPT, NEGATIVE, Steps(FREE, FREE), choice, 3, 10)
