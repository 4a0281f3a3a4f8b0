"""Attention of the lyric heads and the times out of it, against the official code's."""

import json
from itertools import pairwise

import pytest
import torch

from acestep_core.analysis.lyric_score import lyric_score, of_words
from acestep_core.analysis.singing import Played, cross_attention, lyric_maps, refuse_wordless, sung, timed
from acestep_core.errors import InvalidInputError
from acestep_core.sampling.run import SamplerParts
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition, LyricTokens
from acestep_core.text.lrc import to_lrc
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS, TEXT2MUSIC
from support.reference.golden import GOLDEN, golden_silence, golden_transformer, tools_case
from support.reference.oracle import furthest

CASES = json.loads((GOLDEN / "tools" / "runs.json").read_text())
LYRICS = json.loads((GOLDEN / "tools" / "lyrics.json").read_text())
NAMES = ["attention_even", "attention_odd"]
WORDS = LYRICS["span"]["lyrics"]


def heads_in(name):
    return {int(layer): tuple(heads) for layer, heads in CASES[name]["config"].items()}


def parts():
    return SamplerParts(golden_transformer(), Silence(golden_silence()))


def played(name, lyrics=WORDS, **brief):
    """The recorded song; its context as a cover that keeps its source."""
    data, told = tools_case(name), CASES[name]
    tokens = LyricTokens(told["start"], pieces_of(lyrics, told["end"] - told["start"]))
    condition = Condition(data["enc"][0], TASKS["cover"], Brief("A song\nof mine", lyrics, **brief), tokens)
    return Played(data["latents"], condition, data["context"][..., :8])


def pieces_of(lyrics, count):
    """The words in so many tokens, cut anywhere but at the lines' ends."""
    text = lyrics.encode()
    ends = [round(place * len(text) / count) for place in range(count + 1)]
    return tuple(text[first:last] for first, last in pairwise(ends))


def questions(name, t=None):
    data, told = tools_case(name), CASES[name]
    t = t or 1 / told["steps"]
    x = t * data["noise"] + (1 - t) * data["latents"]
    columns = slice(told["start"], told["end"])
    return x, data["context"], t, [data["enc"][0]], heads_in(name), columns


@pytest.mark.parametrize("name", NAMES)
def test_the_heads_look_where_the_official_code_has_them_look(name):
    maps = cross_attention(golden_transformer(), *questions(name))[0]
    assert furthest(maps, tools_case(name)["heads"]) < 1e-5


@pytest.mark.parametrize("t", [0.125, 1.0])
def test_a_song_is_heard_alone_with_the_official_noise_and_the_samplers_context(t):
    song, heads = played("attention_even"), heads_in("attention_even")
    data = tools_case("attention_even")
    x = t * data["noise"] + (1 - t) * data["latents"]
    context = torch.cat((song.source, torch.ones_like(song.source)), -1)
    told = CASES["attention_even"]
    columns = slice(told["start"], told["end"])
    wanted = cross_attention(golden_transformer(), x, context, t, [data["enc"][0]], heads, columns)[0]
    assert torch.equal(lyric_maps(parts(), song, heads, t), wanted)


def test_a_neighbour_with_a_longer_text_changes_nothing():
    x, context, t, (enc,), heads, columns = questions("attention_even")
    alone = cross_attention(golden_transformer(), x, context, t, [enc], heads, columns)
    longer = torch.cat((enc, enc[:30]))
    both = cross_attention(
        golden_transformer(), x.repeat(2, 1, 1), context.repeat(2, 1, 1), t, [enc, longer], heads, columns
    )
    assert furthest(both[:1], alone) < 5e-5
    assert furthest(both[1:], alone) > 1e-4


def test_layers_behind_the_last_head_are_not_evaluated(monkeypatch):
    transformer, called = golden_transformer(), []
    for index, block in enumerate(transformer.blocks()):
        for half in ("heard", "told"):
            whole = getattr(block, half)
            monkeypatch.setattr(
                block, half, lambda *given, whole=whole, at=(index, half): called.append(at) or whole(*given)
            )
    x, context, t, sequences, _, columns = questions("attention_even")
    found = cross_attention(transformer, x, context, t, sequences, {1: (0, 3)}, columns)
    assert called == [(0, "heard"), (0, "told"), (1, "heard")]
    assert found.shape[1] == 2


def test_every_token_of_a_sequence_takes_its_share():
    x, context, t, sequences, heads, columns = questions("attention_even")
    whole = cross_attention(golden_transformer(), x, context, t, sequences, heads, slice(0, None))
    assert furthest(whole.sum(-2), torch.ones(whole.shape[0], whole.shape[1], whole.shape[3])) < 1e-5
    kept = cross_attention(golden_transformer(), x, context, t, sequences, heads, columns)
    assert torch.equal(whole[:, :, columns], kept)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("score", "t"), [("lm_score", 1.0), ("dit_score", None)])
def test_both_lyric_scores_are_the_official_ones(name, score, t):
    told, maps = CASES[name], cross_attention(golden_transformer(), *questions(name, t))[0]
    pieces = tuple(text.encode("utf-8", "replace") for text in LYRICS["ridge"]["single_texts"])
    assert lyric_score(maps, of_words(pieces)).score == pytest.approx(told[score], abs=1e-4)


def test_a_mask_and_a_silenced_span_are_shown_as_the_sampler_shows_them():
    song = played("attention_even")
    mask = torch.zeros(1, song.latents.shape[1])
    mask[:, 40:80] = 1
    plain = lyric_maps(parts(), song, heads_in("attention_even"), 0.125)
    words = {name: Condition(song.condition.enc, TASKS[name], song.condition.brief, song.condition.lyrics)
             for name in ("cover", "repaint")}  # fmt: skip
    maps = {
        name: lyric_maps(
            parts(), Played(song.latents, words[name], song.source, mask), heads_in("attention_even"), 0.125
        )
        for name in words
    }
    assert furthest(plain, maps["cover"]) > 1e-6
    assert furthest(maps["repaint"], maps["cover"]) > 1e-6


# -------------------------------------------------------------------------------------------- from maps to words
def song_of(lyrics, seconds=10.24, pieces=None, caption="A song\nof mine"):
    """A song of these words, one token a byte."""
    pieces = pieces or tuple(bytes([byte]) for byte in lyrics.encode())
    condition = Condition(
        torch.zeros(1, 1), TEXT2MUSIC, Brief(caption, lyrics), LyricTokens(3, tuple(pieces))
    )
    frames = torch.zeros(1, round(seconds * 25), 8)
    return Played(frames, condition, frames)


def diagonal(tokens, places, sharp=0.9):
    """Three heads that follow the words from the first place to the last."""
    maps = torch.full((3, tokens, places), (1 - sharp) / tokens)
    for token in range(tokens):
        first, last = (round(edge * places / tokens) for edge in (token, token + 1))
        maps[:, token, first : max(last, first + 1)] = sharp
    return maps


def test_recorded_times_and_lines_are_the_official_ones():
    data, told = tools_case("ridge", "lyrics"), LYRICS["ridge"]
    pieces = tuple(text.encode("utf-8", "replace") for text in told["single_texts"])
    lyrics = timed(song_of(WORDS, told["seconds"], pieces), data["heads"])
    spans = [(line["start"], line["end"]) for line in told["lines"]]
    assert [(line.start, line.end) for line in lyrics.lines] == [
        pytest.approx(span, abs=2e-3) for span in spans
    ]
    assert 0.5 < lyrics.confidence <= 1.0
    assert lyrics.duration == pytest.approx(told["seconds"])
    assert lyrics.title == "A song"


@pytest.mark.parametrize(
    "lyrics",
    [
        "Hello world\nla la la",
        "[Verse]\n你好世界 🎵\nדבר אחר\nLa",
        "a" * 700 + "\n" + "word " * 270,
    ],
)
def test_times_rise_and_lie_within_the_song(lyrics):
    tokens = len(lyrics.encode())
    found = timed(song_of(lyrics, 300.0), diagonal(tokens, 3750))
    assert len(found.lines) == lyrics.count("\n") + 1
    times = [time for line in found.lines for word in line.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 300.0
    assert "".join(word.text for word in found.lines[-1].words) == found.lines[-1].text
    assert to_lrc(found).count("\n") >= len(found.lines)


@pytest.mark.parametrize("name", ["blunt", "uniform"])
def test_singing_that_is_not_found_has_no_times(name):
    maps = tools_case("blunt", "lyrics")["heads"]
    maps = maps if name == "blunt" else torch.full_like(maps, 1 / maps.shape[1])
    found = timed(song_of("x" * maps.shape[1]), maps)
    assert found.lines == ()
    assert found.confidence == 0.0


def test_attention_to_tags_alone_is_no_singing():
    lyrics = "[Verse]\nla la la"
    maps = torch.full((2, len(lyrics), 90), 0.02)
    for token in range(7):
        maps[:, token, 10 * token : 10 * token + 5] = 0.95
    assert timed(song_of(lyrics), maps).lines == ()


def test_confidence_is_the_share_of_the_words_that_are_pointed_at():
    lyrics = "[V]\nabcdefgh"
    maps = diagonal(len(lyrics), 120)
    maps[:, -4:] = 0.02
    assert timed(song_of(lyrics), maps).confidence == pytest.approx(0.5)


def test_sung_is_neither_a_tag_nor_a_blank():
    assert sung((b"[Ver", b"se]\n", b"la", b" ", b"[oh", b"]", b"x")).tolist() == [
        *(False, False, True, False, False, False, True)
    ]


@pytest.mark.parametrize("lyrics", ["", "  \n ", "[Instrumental]", "[Verse]\n[Chorus]\n"])
def test_songs_without_words_are_refused(lyrics):
    with pytest.raises(InvalidInputError, match=r"nobody sings|no lyrics"):
        refuse_wordless(song_of(lyrics, pieces=[lyrics.encode()]).condition)


def test_conditions_that_do_not_know_their_words_are_refused():
    with pytest.raises(InvalidInputError, match="do not know where"):
        refuse_wordless(Condition(torch.zeros(1, 1), TEXT2MUSIC, Brief("", "la")))


def test_a_single_token_is_too_few_to_be_found():
    assert timed(song_of("a"), diagonal(1, 50)).lines == ()
