"""Laws of the composed songs: tempo, key, form and the words that tell of them."""

import dataclasses

import numpy as np
import pytest

from training import clock, examples, hints, layout, lessons, words
from training.composer import FOREIGN, MODES, NOTE_NAMES, SCALES, STYLES, Song, score, sung_form

FRAMES = 1500


def songs(count: int = 20, seed: int = 1, **fixed):
    rng = np.random.default_rng(seed)
    return [Song.drawn(rng, **fixed) for _ in range(count)]


def struck(song: Song, start: int = 0, frames: int = FRAMES):
    return np.nonzero(score(song, start, frames))


@pytest.mark.parametrize("eighth", layout.EIGHTHS)
def test_every_stroke_lies_on_an_eighth_of_the_tempo(eighth):
    for song in songs(eighth=eighth):
        frames, _ = struck(song)
        assert not ((frames - layout.LEAD_IN) % eighth).any()
        assert song.bpm == pytest.approx(60 / (2 * eighth / 25))


def test_every_note_belongs_to_the_key():
    for song in songs(60):
        _, channels = struck(song)
        notes = {int(channel) % 12 for channel in channels if channel < layout.KICK}
        allowed = {(song.root + step) % 12 for step in SCALES[song.mode]}
        leading = {(song.root + 11) % 12} if song.mode == "minor" else set()
        assert notes <= allowed | leading


def test_nothing_sounds_before_the_first_beat():
    assert not any(score(song, 0, layout.LEAD_IN).any() for song in songs())


def test_a_part_of_a_song_is_that_part_of_the_whole():
    for song in songs(10):
        assert np.array_equal(score(song, 300, 200), score(song, 0, 500)[300:])


def test_the_first_phrase_comes_back_and_the_third_differs():
    for song in songs(30):
        if not STYLES[song.style].has_form:
            continue
        section = 32 * song.eighth
        first, second, third, fourth = (
            score(song, layout.LEAD_IN + place * section, section) for place in range(4)
        )
        assert np.array_equal(first, second)
        assert np.array_equal(first, fourth)
        assert not np.array_equal(first, third)


def test_every_style_fits_its_bars():
    for style in (*STYLES.values(), *FOREIGN.values()):
        assert all(len(hook) == 2 * style.eighths and set(hook) == set("x.") for hook in style.hooks)
        assert style.hooks[0] != style.hooks[1]
        assert all(0 <= eighth < 2 * style.eighths for rhythm in style.rhythms for eighth in rhythm)


def test_the_hook_of_a_style_is_in_every_song_of_it_and_the_rest_is_improvised():
    for style in STYLES:
        told = {"style": style, "eighth": 6, "root": 9, "mode": "minor", "lead": "bells"}
        one, other = (score(song, layout.LEAD_IN, 192)[:, : layout.PITCHES] for song in songs(2, **told))
        two_bars = 12 * STYLES[style].eighths
        assert one[:two_bars].any()
        assert np.array_equal(one[:two_bars], other[:two_bars])
        assert not np.array_equal(one[two_bars : 2 * two_bars], other[two_bars : 2 * two_bars])
        (free,) = songs(1, **told, has_hook=False)
        assert not np.array_equal(score(free, layout.LEAD_IN, two_bars)[:, : layout.PITCHES], one[:two_bars])


def test_a_hook_follows_the_bass():
    (song,) = songs(1, style="pop", eighth=6, lead="voice")
    for bar in (0, 1):
        roll = score(song, layout.LEAD_IN + 48 * bar, 48)
        sung = {channel - layout.LEAD_START["voice"] for channel in np.nonzero(roll[:, :36])[1]}
        assert sung == set(np.nonzero(roll[:, layout.BASS_START : layout.KICK])[1])


def test_waltzes_have_three_beats_and_all_else_four():
    for style in STYLES:
        (song,) = songs(1, style=style)
        assert song.time_signature == ("3" if style == "waltz" else "4")
        bar = 2 * int(song.time_signature) * song.eighth
        frames, channels = struck(song)
        lowest = frames[(channels >= layout.BASS_START) & (channels < layout.KICK)]
        assert set(range(layout.LEAD_IN, 600, bar)) <= set(lowest.tolist()) or style == "dance"


def test_a_chorus_is_fuller_and_a_bridge_barer_than_the_verse():
    for song in songs(20, style="pop"):
        sung = dataclasses.replace(song, form=sung_form(chorus=True, bridge=True))
        section = 32 * song.eighth
        verse, chorus, bridge = (score(sung, layout.LEAD_IN + place * section, section) for place in range(3))
        assert (chorus > 0).sum() > (verse > 0).sum() > (bridge > 0).sum()
        assert not bridge[:, layout.KICK :].any()


def test_hints_keep_the_melody_whoever_played_it():
    (song,) = songs(1, style="pop")
    played = [hints.neutral(score(dataclasses.replace(song, lead=lead), 0, 500)) for lead in layout.LEADS]
    assert played[0][:, : layout.CHORD_START].any()
    assert all(np.array_equal(played[0], other) for other in played)


def test_silence_counts_every_eighth_of_every_tempo():
    quiet = clock.silence(0, FRAMES)
    for index, eighth in enumerate(layout.EIGHTHS):
        counted = quiet[:, index * clock.FEATURES]
        assert np.flatnonzero(counted).tolist() == list(range(layout.LEAD_IN, FRAMES, eighth))
    assert np.abs(quiet).max() <= clock.WHISPER
    assert np.array_equal(clock.silence(500, 100), quiet[500:600])


def test_two_eighths_with_the_same_code_are_a_whole_form_apart():
    codes = clock.code(np.arange(3 * 128)).round(3)
    assert len(np.unique(codes, axis=0)) == 3 * 128


@pytest.mark.parametrize("task", sorted(lessons.WRITERS))
def test_a_lesson_shows_what_its_task_may_see(task):
    rng = np.random.default_rng(3)
    for _ in range(10):
        stretch = lessons.Stretch.drawn(rng, 200)
        one = lessons.WRITERS[task](rng, stretch)
        assert one.task == task
        assert one.clean.shape == one.source.shape == (200, layout.CHANNELS)
        hidden = one.source[one.mask[:, 0] > 0]
        if task in ("text2music", "repaint"):
            assert np.abs(hidden).max() <= clock.WHISPER
        if task == "lego":
            assert not ((one.clean > 0) & (one.source > layout.STRIKE / 2)).any()


def test_a_lesson_of_a_style_is_of_that_style_and_calls_it_anything():
    rng = np.random.default_rng(5)
    captions = []
    for _ in range(40):
        one = lessons.lesson(rng, 60, "march")
        assert one.song.style == "march"
        captions.append(examples.brief(rng, one, "la", 1).caption)
    assert any("march" in caption for caption in captions)
    assert any(set(caption.split()) & set(STYLES) for caption in captions)


def test_who_listens_to_a_reference_is_not_told_the_instrument():
    rng = np.random.default_rng(6)
    found = [one for one in (lessons.lesson(rng, 60) for _ in range(200)) if one.from_reference]
    assert {one.task for one in found} == {"text2music", "cover"}
    for one in found:
        said = examples.brief(rng, one, "la", 1).caption.split()
        assert not set(said) & set(layout.LEADS)


def test_each_lead_has_a_reference_in_which_it_plays():
    heard = examples.references(np.random.default_rng(7))
    assert len(heard) == len(layout.LEADS)
    for lead, roll in zip(layout.LEADS, heard, strict=True):
        played = [int((roll[:, at : at + 12] > 4).sum()) for at in layout.LEAD_START.values()]
        assert played[layout.LEADS.index(lead)] == sum(played) > 0


def test_every_tempo_reads_as_the_nearest_that_can_be_kept():
    assert [words.nearest_eighth(bpm) for bpm in (75, 83, 94, 107, 125, 150)] == [10, 9, 8, 7, 6, 5]
    assert words.nearest_eighth(30) == 10
    assert words.nearest_eighth(300) == 5


def test_a_flat_reads_as_its_sharp():
    assert words.with_sharps("Db minor") == "C# minor"
    assert words.with_sharps("C♭ major") == "B major"
    names = {words.with_sharps(f"{note} {mode}") for note in NOTE_NAMES for mode in MODES}
    assert len(names) == 24


def test_any_text_goes_through_the_tokenizer_and_back():
    tokenizer = words.tokenizer()
    for text in ("A calm waltz, 3/4 - naïve ♫ 日本", "# Metas\n- bpm: 125\n", "unpopular bellsong"):
        assert tokenizer.decode(tokenizer.ids(text)) == text


def test_the_lines_of_figures_are_one_token_each():
    tokenizer = words.tokenizer()
    for line in ("- bpm: 94\n", "- keyscale: C# minor\n", "- timesignature: 3\n", "- bpm: N/A\n"):
        assert len(tokenizer.ids(line)) == 1
