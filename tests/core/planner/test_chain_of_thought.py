import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from acestep_core.planner.chain_of_thought import (
    Thought,
    completed,
    is_number,
    one_line,
    read,
    thought_of,
    without_heading,
    yaml_name,
)
from acestep_core.text.prompts import KEYS, LANGUAGES, SPELT_TIME_SIGNATURES, TIME_SIGNATURES, Brief

CAPTION = (
    "A calm piano ballad with soft strings: warm, slow, and intimate, building into a lush chorus over time"
)
EXAMPLE = """bpm: 80
caption: 'A calm piano ballad with soft strings: warm, slow, and intimate, building
  into a lush chorus over time'
duration: 30
keyscale: C# minor
language: 'no'
timesignature: 4"""
captions = st.none() | st.text(max_size=300).map(one_line).filter(bool)
thoughts = st.builds(
    Thought,
    bpm=st.none() | st.integers(30, 300),
    caption=captions,
    duration=st.none() | st.integers(10, 600),
    key=st.none() | st.sampled_from(KEYS),
    language=st.none() | st.sampled_from(LANGUAGES),
    time_signature=st.none() | st.sampled_from(TIME_SIGNATURES),
)
briefs = st.builds(
    Brief,
    caption=st.text(),
    lyrics=st.text(),
    language=st.sampled_from(LANGUAGES),
    bpm=st.none() | st.just(0) | st.integers(30, 300),
    key=st.sampled_from((None, "", "N/A", *KEYS)),
    time_signature=st.sampled_from((None, " ", "N/A", *TIME_SIGNATURES, *SPELT_TIME_SIGNATURES.values())),
    duration=st.none() | st.floats(0.1, 700),
)


def test_the_worked_example_is_written_as_taught_and_read_back():
    thought = Thought(80, CAPTION, 30, None, "C# minor", "no", "4")

    assert thought.to_yaml() == EXAMPLE
    assert read(EXAMPLE) == thought
    assert read(f"<think>\n{EXAMPLE}\n</think>\n\n<|audio_code_1|>") == thought


@given(thoughts)
@example(Thought(caption="'tis a \"song\": #1 - don't"))
@example(Thought(caption="null"))
@example(Thought(caption="a  b \t c\x07 \U0001f3b5 " + "word " * 40 + "end"))
@example(Thought(caption="padded: " + "x \xa0 y " * 30 + "z"))
@example(Thought(caption="- [a, {b: c}] & *x !y | > % @ `"))
def test_what_is_written_is_read_back(thought):
    assume(not is_number(thought.caption or "") or str(int(thought.caption)) == thought.caption)

    assert read(thought.to_yaml()) == thought
    assert read(f"<think>\n{thought.to_yaml()}\n</think>") == thought or "</think>" in (thought.caption or "")


@given(thoughts)
def test_parsing_and_dumping_again_changes_nothing(thought):
    assert read(thought.to_yaml()).to_yaml() == thought.to_yaml()


@given(thoughts)
def test_any_yaml_reader_finds_the_same_sorted_fields(thought):
    items = yaml.safe_load(thought.to_yaml()) or {}

    assert list(items) == sorted(items)
    assert {name: str(value) for name, value in items.items()} == {
        yaml_name(name): str(int(value)) if is_number(str(value)) else str(value)
        for name, value in thought.as_dict().items()
    }


@pytest.mark.parametrize(
    ("thought", "text"),
    [
        (Thought(), ""),
        (Thought(bpm=90), "bpm: 90"),
        (Thought(time_signature="3"), "timesignature: 3"),
        (Thought(time_signature="3/4"), "timesignature: 3"),
        (Thought(time_signature="6/8"), "timesignature: 6"),
        (Thought(time_signature="5/4"), "timesignature: 5"),
        (Thought(language="no"), "language: 'no'"),
        (Thought(language="en", genres="pop"), "language: en"),
        (Thought(caption="1984"), "caption: 1984"),
        (Thought(caption="caf\xe9 \u6625"), "caption: caf\xe9 \u6625"),
        (Thought(key="D\u266d minor"), "keyscale: D\u266d minor"),
    ],
)
def test_values_are_written_as_the_planner_was_taught(thought, text):
    assert thought.to_yaml() == text


def test_a_text_of_the_planner_is_read_field_by_field():
    text = (
        "<think>\nbpm: 73\ncaption: A calm piano\n  melody, with\n\n\tstrings\nduration: 273\n"
        "genres: Chinese folk\nkeyscale: G major\nlanguage: en\ntimesignature: 4\n</think>\n\n# Lyric\nla: la"
    )

    assert read(text) == Thought(
        73, "A calm piano melody, with strings", 273, "Chinese folk", "G major", "en", "4"
    )


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("", Thought()),
        ("bpm: fast\nduration: -3", Thought()),
        ("<think>\nbpm: 90\n<|audio_code_5|>bpm: 91", Thought(bpm=90)),
        ("BPM: 90\r\n  Language : en\r\nKeyscale:  C major\r\n", Thought(bpm=None, key="C major")),
        ("mood: dark\n  and slow\nbpm: 70", Thought(bpm=70)),
        ("caption: one\ncaption: two", Thought(caption="two")),
        ("caption:\nlanguage: 'no'", Thought(language="no")),
        ("caption: 'half open\nbpm: 70", Thought(bpm=70, caption="'half open")),
        ('caption: "\\q"', Thought(caption='"\\q"')),
        ('caption: "\\UFFFFFFFF"', Thought(caption='"\\UFFFFFFFF"')),
        ('caption: "\\ud800"', Thought(caption='"\\ud800"')),
        ('caption: "a\\tb"', Thought(caption="a\tb")),
    ],
)
def test_odd_texts_are_read_as_far_as_they_make_sense(text, thought):
    assert read(text) == thought


@given(st.text(alphabet=st.sampled_from("ab:'\"\\ \n\t<>/think|-[]{}0\r") | st.characters()))
def test_no_text_stops_the_reader(text):
    thought = read(text)

    assert read(thought.to_yaml()).to_yaml() == thought.to_yaml()


@pytest.mark.parametrize(
    ("text", "lyrics"),
    [
        ("\n\n# Lyric\n[Verse]\nla", "[Verse]\nla"),
        ("# LYRICS\nla", "la"),
        ("la\n# Lyric\nlo", "la\n# Lyric\nlo"),
        ("# Lyric", ""),
        ("  \n\n", ""),
        ("# Lyrical\nla", "# Lyrical\nla"),
    ],
)
def test_lyrics_stand_without_their_heading(text, lyrics):
    assert without_heading(text) == lyrics


@given(briefs, thoughts, st.booleans(), st.booleans())
def test_what_the_user_gave_always_wins(brief, thought, caption, language):
    song = completed(brief, thought, caption, language)
    given_fields = thought_of(brief)

    assert thought.overruled_by(given_fields).as_dict().items() >= given_fields.as_dict().items()
    assert thought_of(song).as_dict().items() >= given_fields.as_dict().items()
    assert song.lyrics == brief.lyrics
    assert song.caption == (thought.caption or brief.caption if caption else brief.caption)
    assert song.language == (thought.language or brief.language if language else brief.language)
    assert song.duration == (thought.duration if brief.duration is None else brief.duration)
    for name in ("bpm", "key", "time_signature"):
        if name not in given_fields.as_dict():
            assert getattr(song, name) == getattr(thought, name)


def test_a_brief_speaks_through_its_fields_alone():
    brief = Brief("calm", "la", "zh", bpm=90, key="C major", time_signature="6/8", duration=95.98)

    assert thought_of(brief) == Thought(bpm=90, duration=95, key="C major", time_signature="6")
    assert thought_of(brief, with_language=True).language == "zh"
    assert thought_of(Brief("calm", bpm=0, key="N/A", time_signature=" ")) == Thought()
    assert (
        thought_of(Brief("calm", duration=0.5)).duration == 1
    )  # said, although a thought counts whole seconds


def test_without_leaves_out_what_was_given():
    assert Thought(bpm=90, language="en").without(Thought(bpm=80)) == Thought(language="en")
