"""Codes are composed out of the tokens that the official package allows in its code phase, and as many of them.

Where the two differ on purpose, a test of its own states how and says why.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from acestep_core.errors import InvalidInputError
from acestep_core.networks.config import AUDIO_CODES
from acestep_core.planner import generation
from acestep_core.planner.chain_of_thought import Thought
from acestep_core.planner.network import PlannerNetwork
from acestep_core.planner.planner import Planner
from acestep_core.planner.requests import codes_request
from acestep_core.planner.token_sampling import SamplingParams, choose
from acestep_core.text.prompts import Brief
from acestep_core.text.tokenizer import TextTokenizer
from acestep_core.timebase import codes_of
from support.reference.official_processor import Official
from support.reference.planner import SIZES
from support.tiny.planner_text import dense_json, tokenizer_of

SCALE = 2.0**-16  # a power of two, so that names survive as logits
SPARE = 7  # rows of the planner's table that no token has
THOUGHT = Thought(bpm=90, caption="A slow waltz: strings\nand a piano", key="C major")
NOTHING = Thought()
SEEDS = (3, 4, 5, 2**33)


class Naming(nn.Module):
    """In place of the last norm: every hidden state has one length, so that logits are what the head's rows say."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(SIZES.hidden_size), requires_grad=False)

    def forward(self, x):
        return torch.ones_like(x)


class Offers:
    """What is offered to `choose` while codes are composed, what it takes, and what the network reads after that."""

    def __init__(self, planner, monkeypatch):
        self.planner = planner
        self.candidates, self.taken, self.read = [], [], []
        planner.network.register_forward_pre_hook(lambda _, given: self.read.append(given[0]))
        monkeypatch.setattr(generation, "choose", self.choose)

    def choose(self, scores, params, uniform):
        column = choose(scores, params, uniform)
        ids = scores / SCALE
        assert torch.equal(ids, ids.round())
        self.candidates.append(ids.long())
        self.taken.append(ids.long().gather(1, column[:, None])[:, 0])
        return column

    def compose(self, brief, thought, params, may_stop=False):
        """The song that was asked for, and its codes for each seed."""
        song = codes_request(self.planner, brief, thought, "noise")
        tokens, options = self.planner.code_tokens(may_stop), generation.Options(params, SEEDS)
        return song, generation.compose_codes(self.planner.network, song.prompts, tokens, song.count, options)

    @property
    def end(self):
        """The token that ends a song."""
        return self.planner.code_tokens(may_end_early=True).end

    def of(self, item):
        """Candidates and choice of an item, step by step."""
        return [(ids[item], int(taken[item])) for ids, taken in zip(self.candidates, self.taken, strict=True)]


def planner_of(tokenizer):
    """A planner whose logit of a token is the token's id, but for SCALE."""
    torch.manual_seed(0)
    sizes = replace(SIZES, vocab_size=max(tokenizer.special_names) + 1 + SPARE)
    network = PlannerNetwork(sizes, nn, tied=False).requires_grad_(False)
    network.lm_head.weight.zero_()
    network.lm_head.weight[:, 0] = torch.arange(sizes.vocab_size) * SCALE
    network.norm = Naming()
    return Planner.of(network, tokenizer)


@pytest.fixture(scope="module", params=["tiny", "full"])
def tokenizer(request, comfyui_dir):
    if request.param == "tiny":
        return tokenizer_of(dense_json())
    return TextTokenizer.from_comfyui(comfyui_dir / "comfy" / "text_encoders" / "qwen25_tokenizer")


@pytest.fixture(scope="module")
def official(tokenizer):
    return Official(tokenizer)


@pytest.fixture
def offers(tokenizer, monkeypatch):
    return Offers(planner_of(tokenizer), monkeypatch)


def allowed(official, ids):
    return official.allowed(torch.zeros(official.size), ids).nonzero()[:, 0]


@pytest.mark.parametrize("params", [SamplingParams(), SamplingParams(temperature=0, cfg=1.0)], ids=repr)
@pytest.mark.parametrize(("seconds", "thought"), [(10.2, THOUGHT), (0.2, NOTHING)])
def test_codes_alone_are_offered_until_all_are_there_and_then_theirs_can_only_end(
    offers, official, seconds, thought, params
):
    song, codes = offers.compose(Brief("a waltz", "la la", duration=seconds), thought, params)

    assert [len(item) for item in codes] == [song.count] * len(SEEDS)
    assert len(offers.candidates) == song.count == int(5 * seconds)
    for item in range(len(SEEDS)):
        ids = list(song.prompts.ids)
        official.begin_codes(seconds)
        for offered, token in offers.of(item):
            assert torch.equal(offered, allowed(official, ids))
            official.take(token)
            ids.append(token)
        assert allowed(official, ids).tolist() == [offers.end]
        assert [offers.planner.tokenizer.special_names[token] for token in ids[len(song.prompts.ids) :]] == [
            f"<|audio_code_{code}|>" for code in codes[item].tolist()
        ]


def test_a_song_that_may_stop_is_offered_what_a_song_without_a_length_is(offers, official):
    """Theirs has no longest length here and goes on until the end token comes or the memory is full.

    Ours is over at the length that was asked for. A song that has ended keeps its place in the batch, so further
    offers to it mean nothing; theirs makes one song after the other.
    """
    song, codes = offers.compose(
        Brief("a waltz", duration=12.0), THOUGHT, SamplingParams(top_p=1.0), may_stop=True
    )
    end = offers.end
    ended = 0
    for item, written in enumerate(codes):
        ids = list(song.prompts.ids)
        official.begin_codes(None)
        for step, (offered, token) in enumerate(offers.of(item)):
            theirs = allowed(official, ids)
            assert torch.equal(offered.sort().values, theirs if step else theirs[theirs != end])
            official.take(token)
            ids.append(token)
            if token == end:
                break
        own = ids[len(song.prompts.ids) :]
        over = own[-1] == end
        ended += over
        assert [
            token - offers.planner.code_tokens().ids.start for token in own[: len(own) - over]
        ] == written.tolist()
        assert over or len(written) == song.count
        assert end in allowed(official, ids)
    assert official.size > 10_000 or 0 < ended < len(SEEDS)


def test_the_token_that_is_read_next_is_the_one_whose_logit_was_chosen(offers):
    """In all rows: those of the negative prompt follow the same codes."""
    for may_stop in (False, True):
        song, _ = offers.compose(Brief("a waltz", duration=3.0), THOUGHT, SamplingParams(), may_stop)
        prompts, steps = offers.read[:2], offers.read[2:]

        assert [ids.tolist() for ids in prompts] == [[list(song.prompts.ids)], [list(song.prompts.negative)]]
        assert len(steps) == len(offers.taken) - 1  # the last one is not read
        for read, taken in zip(steps, offers.taken, strict=False):
            assert torch.equal(read[:, 0], taken.repeat(2))
        offers.taken.clear()
        offers.read.clear()


def test_every_published_code_is_offered_and_no_row_without_a_token(offers):
    offers.compose(Brief("a waltz", duration=1.0), NOTHING, SamplingParams())
    tokenizer = offers.planner.tokenizer
    count = tokenizer.codes
    names = {tokenizer.special_names[token] for token in offers.candidates[0][0].tolist()}

    assert count in (64, AUDIO_CODES)
    assert names == {f"<|audio_code_{code}|>" for code in range(count)}
    assert {tuple(ids.shape) for ids in offers.candidates} == {(len(SEEDS), count)}


def test_a_song_of_fixed_length_may_end_early_where_the_user_says_so(offers, official):
    """Theirs never lets a song of a given length end early; ours offers the end behind the first code, and nothing else."""
    song, _ = offers.compose(Brief("a waltz", duration=2.0), THOUGHT, SamplingParams(), may_stop=True)
    official.begin_codes(2.0)
    theirs = set(allowed(official, song.prompts.ids).tolist())

    for step, (offered, _) in enumerate(offers.of(0)):
        assert set(offered.tolist()) - theirs == ({offers.end} if step else set())
        assert theirs <= set(offered.tolist())


def test_codes_come_at_once_behind_a_finished_thought_even_an_empty_one(offers, official):
    """No newline or tag comes before the first code: the turn with the thought is closed in the prompt.

    Theirs looks for the closing tag in the conditional prompt and begins a thought where it is missing, which ours,
    having one in every prompt, never does.
    """
    for thought in (NOTHING, THOUGHT):
        song, _ = offers.compose(Brief("a waltz", duration=0.4), thought, SamplingParams())
        first = offers.candidates[0][0]
        for prompt in (song.prompts.ids, song.prompts.negative):
            official.begin_codes(10.0)
            assert torch.equal(allowed(official, prompt), first)
    open_prompt = song.prompts.ids[: song.prompts.ids.index(offers.planner.grammar.think)]
    official.begin_codes(10.0)
    assert allowed(official, open_prompt).tolist() == [offers.planner.grammar.think]


def theirs_of(official, seconds):
    official.begin_codes(seconds)
    return official.processor.target_codes


def test_a_duration_is_as_many_codes_as_theirs_but_for_a_hair(official):
    """Sums of tenths may lie a hair below a code's edge, where theirs loses the code and ours does not."""
    for hundredths in range(20, 60_001):
        assert codes_of(hundredths / 100) == theirs_of(official, hundredths / 100)
    for codes in range(1, 3001):
        assert codes_of(codes / 5) == theirs_of(official, codes / 5) == codes
    below = 12 - 1e-9
    assert (codes_of(below), theirs_of(official, below)) == (60, 59)
    assert codes_of(12 - 1e-3) == theirs_of(official, 12 - 1e-3) == 59


def test_a_length_that_is_none_or_impossible_is_refused(offers, official):
    """Where theirs gets no length it writes until it likes to end; ours must know one, which a plan brings.

    Less than a code is a song of nothing in theirs, and no song is too long for it.
    """
    assert [theirs_of(official, seconds) for seconds in (None, 0.0, -1.0)] == [None, None, None]
    assert [theirs_of(official, seconds) for seconds in (0.1, 10_000.0)] == [0, 50_000]
    with pytest.raises(InvalidInputError, match="Nobody said how long"):
        codes_request(offers.planner, Brief("a waltz"))
    for seconds in (0.0, -1.0):
        with pytest.raises(InvalidInputError, match="is no length"):
            codes_request(offers.planner, Brief("a waltz", duration=seconds))
    for seconds in (0.1, 10_000.0):
        with pytest.raises(InvalidInputError, match="can be composed"):
            codes_request(offers.planner, Brief("a waltz", duration=seconds))
