"""The loops write what a plain loop over the whole network writes, and stop where they are told to."""

from contextlib import contextmanager, nullcontext

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.planner.decoding import Decoder
from acestep_core.planner.generation import (
    AllowedLogits,
    CodeTokens,
    Options,
    Prompts,
    compose_codes,
    generate_text,
)
from acestep_core.planner.grammar import ChoicePoint
from acestep_core.planner.token_sampling import SamplingParams
from support.reference.planner import (
    CODES,
    END,
    SIZES,
    head,
    logits_after,
    pair,
    plain_choice,
    plain_composition,
    uniforms,
)

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
SEEDS, COUNT = [11, 12, 2**40], 14
FREE = ChoicePoint(torch.tensor([*range(10, 30), 60, 88]))
GREEDY_FREE = ChoicePoint(FREE.allowed, greedy=True)


class StoppedError(Exception):
    pass


class Steps:
    """A guide along a list of forced tokens and choice points, which it never leaves whatever is taken."""

    def __init__(self, *steps):
        self.steps, self.number, self.within = steps, 0, 0
        self.taken = []

    @property
    def done(self):
        return self.number == len(self.steps)

    def forced(self):
        step = self.steps[self.number]
        return step if isinstance(step, tuple) else ()

    def choice(self):
        return self.steps[self.number]

    def take(self, token):
        self.taken.append(token)
        forced = self.forced()
        self.within = self.within + 1 if self.within + 1 < len(forced) else 0
        self.number += self.within == 0


def composed(network, prompt=PROMPT, negative=NEGATIVE, seeds=SEEDS, params=None, may_stop=False, **more):
    tokens, options = (
        CodeTokens(CODES, END if may_stop else None),
        Options(params or SamplingParams(), seeds, **more),
    )
    return compose_codes(network, Prompts(prompt, negative), tokens, COUNT, options)


def written(network, guide, limit=40, params=None, negative=NEGATIVE, **more):
    return generate_text(
        network, Prompts(PROMPT, negative), guide, limit, Options(params or SamplingParams(), [5], **more)
    )


@pytest.mark.parametrize("negative", [None, NEGATIVE, [*PROMPT, 9, 9, 21]])
@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0),
        SamplingParams(),
        SamplingParams(temperature=1.3, cfg=3.5, top_p=1.0, penalty=1.4),
        SamplingParams(top_k=9, top_p=0.8, min_p=0.02),
    ],
    ids=repr,
)
def test_codes_are_those_of_a_plain_loop(negative, params):
    theirs, ours = pair()
    plain = [plain_composition(theirs, PROMPT, negative, COUNT, seed, params) for seed in SEEDS]

    assert [codes.tolist() for codes in composed(ours, negative=negative, params=params)] == plain


def test_an_untied_head_is_the_one_that_writes():
    theirs, ours = pair(tied=False)
    plain = plain_composition(theirs, PROMPT, None, COUNT, SEEDS[0], SamplingParams())

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
    none = compose_codes(ours, Prompts(PROMPT), CodeTokens(CODES), 0, Options(seeds=SEEDS))
    assert [len(codes) for codes in none] == [0] * 3


@pytest.mark.parametrize("params", [SamplingParams(cfg=1.0), SamplingParams(cfg=2.0)])
def test_without_guidance_the_negative_prompt_is_not_read(params):
    _, ours = pair()
    rows = []
    ours.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    composed(ours, params=params)

    assert rows[-1] == len(SEEDS) * (1 if params.cfg == 1 else 2)


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
    ours.embed_tokens.weight[END] = 50 * Decoder(ours, [PROMPT], 1, 1).hidden[0]
    songs = composed(ours, negative=None, may_stop=True, on_token=lambda *progress: heard.append(progress))

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
            composed(ours, on_token=listener)
        handle.remove()
        assert heard == [(done, COUNT) for done in range(1, last + 1)]
        assert len(forwards) == 2 + last - 1  # two prompts, and a step after each code but the last one heard


@pytest.mark.parametrize("stops", [False, True])
def test_the_network_is_brought_in_with_room_for_all_rows_before_it_reads_and_let_go_after_the_last_token(
    stops,
):
    _, ours = pair()
    told, heard = [], []
    ours.register_forward_pre_hook(lambda _, given: told.append("read"))

    @contextmanager
    def bring_in(rows, tokens):
        told.append((rows, tokens))
        try:
            yield
        finally:
            told.append("done")

    def listener(done, total):
        heard.append(done)
        if stops and done == 2:
            raise StoppedError

    with pytest.raises(StoppedError) if stops else nullcontext():
        composed(ours, bring_in=bring_in, on_token=listener)
    assert told[0] == (2 * len(SEEDS), len(PROMPT) + COUNT)
    assert told[1:] == ["read"] * (2 + len(heard) - 1) + ["done"]


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


def plain_text(theirs, prompt, negative, steps, params, seed):
    numbers, text = iter(uniforms(seed, 100)), []
    for step in steps:
        if isinstance(step, tuple):
            text += step
            continue
        ids = step.allowed
        logits = logits_after(theirs, [*prompt, *text])
        if negative is not None:
            away = logits_after(theirs, [*negative, *text])
            logits = away + params.cfg * (logits - away)
        seen = [index for index, token in enumerate(ids.tolist()) if token in text]
        if step.greedy:
            own = SamplingParams(temperature=0, penalty=params.penalty)
            text.append(int(ids[plain_choice(logits[ids].tolist(), own, 0.0, seen)]))
        else:
            text.append(int(ids[plain_choice(logits[ids].tolist(), params, next(numbers), seen)]))
    return text


FEW = ChoicePoint(torch.tensor([0, 89]))  # far apart: their rows are gathered
GREEDY_FEW = ChoicePoint(FEW.allowed, greedy=True)
ROAD = ((1, 2, 3), FREE, FREE, GREEDY_FREE, (4,), (5, 6), FEW, FREE, GREEDY_FEW, FREE, FREE, (9,))


@pytest.mark.parametrize("negative", [None, NEGATIVE, [*PROMPT, 9, 9, 21]])
@pytest.mark.parametrize(
    "params",
    [SamplingParams(temperature=0), SamplingParams(), SamplingParams(penalty=3.0, top_p=1.0)],
    ids=repr,
)
def test_a_text_is_that_of_a_plain_loop(negative, params):
    theirs, ours = pair()
    walk = Steps(*ROAD)
    text = written(ours, walk, params=params, negative=negative)

    assert text == walk.taken == plain_text(theirs, PROMPT, negative, ROAD, params, 5)


def test_forced_tokens_cost_no_step_of_their_own():
    _, ours = pair()
    shapes = []
    ours.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    written(ours, Steps(*ROAD))

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
    whole = written(ours, Steps(*ROAD), negative=None)
    walk = Steps(*ROAD)

    assert written(ours, walk, limit, negative=None) == whole[:limit] == walk.taken


def test_the_listener_hears_every_token_of_a_text_and_can_stop_at_any():
    _, ours = pair()
    for last in (1, 3, 4, 9):
        walk = Steps(*ROAD)

        def listener(done, total, last=last):
            assert total == 40
            if done == last:
                raise StoppedError

        with pytest.raises(StoppedError):
            written(ours, walk, on_token=listener)
        assert len(walk.taken) == last


def test_a_few_head_rows_are_gathered_once_and_many_are_used_where_they_lie():
    _, ours = pair()
    cuts, rows = [], ours.rows
    ours.rows = lambda tokens, *how: cuts.append(tokens) or rows(tokens, *how)
    written(ours, Steps((1,), FEW, FREE, (2,), FEW, FREE, FEW))

    assert [len(ids) for ids in cuts] == [2]
    many, _ = logits_by(ours)._prepared(FREE.allowed)
    assert many.untyped_storage().data_ptr() == ours.embed_tokens.weight.untyped_storage().data_ptr()


def logits_by(network):
    return AllowedLogits(network, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("ids", [FREE.allowed, FEW.allowed, torch.arange(20, 40), torch.tensor([33])])
def test_logits_of_allowed_tokens_are_theirs_among_all(ids):
    _, ours = pair()
    hidden, point = torch.randn(2, SIZES.hidden_size), ChoicePoint(ids)
    allowed = logits_by(ours)
    for _ in range(2):
        torch.testing.assert_close(allowed(hidden, point), head(ours, hidden)[:, ids])


def test_equal_sets_in_different_objects_are_not_mixed_up():
    _, ours = pair()
    hidden = torch.randn(1, SIZES.hidden_size)
    allowed = logits_by(ours)
    for start in range(80):  # each would get the address of the one before if nobody held it
        ids = torch.arange(start // 2, 85, 5 if start % 2 else 1)
        torch.testing.assert_close(allowed(hidden, ChoicePoint(ids)), head(ours, hidden, ids))


@pytest.mark.parametrize("params", [SamplingParams(), SamplingParams(temperature=0), SamplingParams(cfg=1.0)])
@pytest.mark.parametrize("may_stop", [False, True])
def test_numbers_that_are_none_are_refused_instead_of_becoming_codes(params, may_stop):
    _, ours = pair()
    with torch.no_grad():
        ours.norm.weight.fill_(torch.nan)

    with pytest.raises(InvalidInputError, match=r"not finite(.|\n)*bf16"):
        composed(ours, params=params, may_stop=may_stop)
    with pytest.raises(InvalidInputError, match=r"not finite(.|\n)*bf16"):
        written(ours, Steps(FREE, FREE), 10, params)
