"""Rows that are never padded write what the plain loop writes on a left-padded batch, guided or not."""

from dataclasses import replace

import pytest
import torch

from acestep_core.planner.chain_of_thought import Thought
from acestep_core.planner.decoding import Decoder
from acestep_core.planner.generation import CodeTokens, Options, Prompts, compose_codes, generate_text
from acestep_core.planner.grammar import Grammar
from acestep_core.planner.token_sampling import SamplingParams
from support.reference.left_padding import PAD, Padded, padded_codes, padded_text
from support.reference.planner import CODES, END, SIZES, head, logits_after, pair
from support.tiny.planner_text import dense_json, tokenizer_of

PROMPT = [7, 3, 80, 22, 5, 61, 13]
NEGATIVES = {"none": None, "shorter": [4, 44, 8], "longer": [*PROMPT, 9, 9, 21, 2], "equal": PROMPT[::-1]}
SEEDS, COUNT = [11, 12, 2**40], 14
PENALISED = SamplingParams(temperature=1.3, cfg=3.5, top_p=1.0, penalty=1.4)
PARAMS = [
    SamplingParams(temperature=0),
    SamplingParams(temperature=0, cfg=1.0),
    SamplingParams(),
    SamplingParams(cfg=1.0),
    SamplingParams(top_k=9, top_p=0.8, min_p=0.02),
    PENALISED,
]
FIXED = Thought(bpm=90, time_signature="3")


@pytest.fixture(scope="module")
def networks():
    """Theirs and ours, which like the end token about as much as any code."""
    theirs, ours = pair()
    for planner in (theirs.model, ours):
        planner.embed_tokens.weight[END] = 2 * planner.embed_tokens.weight[CODES.start]
    return theirs, ours


@pytest.fixture(scope="module")
def talkers():
    """A grammar, and both networks with as many tokens as it has."""
    grammar = Grammar(tokenizer_of(dense_json()))
    return grammar, *pair(replace(SIZES, vocab_size=max(grammar.tokenizer.special_names) + 1))


def prompts_with(negative):
    return [PROMPT] if negative is None else [PROMPT, negative]


@torch.no_grad()
def test_the_padded_loop_reads_each_row_as_if_it_were_alone(networks):
    rows, theirs = [PROMPT, [4, 44, 8], [PAD]], networks[0]
    batch = Padded(theirs, rows)
    for token in (50, PAD, 60):
        alone = torch.stack([logits_after(theirs, row) for row in rows])
        torch.testing.assert_close(batch.logits, alone, atol=1e-4, rtol=0)
        rows = [[*row, token] for row in rows]
        batch.read([token] * 3)


@pytest.mark.parametrize("may_stop", [False, True])
@pytest.mark.parametrize("params", PARAMS, ids=repr)
@pytest.mark.parametrize("negative", NEGATIVES.values(), ids=NEGATIVES)
def test_songs_are_those_of_the_padded_loop(networks, negative, params, may_stop):
    theirs, ours = networks
    plain, _, _ = padded_codes(theirs, prompts_with(negative), COUNT, SEEDS, params, may_stop)
    tokens = CodeTokens(CODES, END if may_stop else None)
    songs = compose_codes(ours, Prompts(PROMPT, negative), tokens, COUNT, Options(params, SEEDS))

    assert [song.tolist() for song in songs] == plain


@torch.no_grad()
@pytest.mark.parametrize("negative", NEGATIVES.values(), ids=NEGATIVES)
def test_logits_are_those_of_the_padded_loop_at_every_step(networks, negative):
    theirs, ours = networks
    prompts = prompts_with(negative)
    _, steps, columns = padded_codes(theirs, prompts, COUNT, SEEDS, SamplingParams(), may_stop=True)
    decoder = Decoder(ours, prompts, len(SEEDS), COUNT)
    for logits, column in zip(steps, columns, strict=True):
        torch.testing.assert_close(head(ours, decoder.hidden), logits, atol=1e-4, rtol=0)
        decoder.feed(torch.tensor(column)[:, None])


def test_songs_of_this_test_end_at_different_places(networks):
    songs, _, _ = padded_codes(networks[0], prompts_with([4, 44, 8]), COUNT, range(8), SamplingParams(), True)

    assert len({len(song) for song in songs}) > 2


@pytest.mark.slow
@pytest.mark.parametrize("caption", [False, True])
@pytest.mark.parametrize("params", [*PARAMS[:4], PENALISED], ids=repr)
@pytest.mark.parametrize("negative", NEGATIVES.values(), ids=NEGATIVES)
def test_a_thought_is_that_of_the_padded_loop(talkers, negative, params, caption):
    grammar, theirs, ours = talkers
    walks = [grammar.plan(FIXED, caption, choose_language=True) for _ in range(2)]
    plain = padded_text(theirs, prompts_with(negative), walks[0], params, 5, 45)

    assert generate_text(ours, Prompts(PROMPT, negative), walks[1], 45, Options(params, [5])) == plain
    assert walks[0].done or len(plain) == 45
