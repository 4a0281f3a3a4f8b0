import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.text.prompts import (
    END_OF_TEXT,
    INSTRUMENTAL,
    KEYS,
    LANGUAGES,
    TIME_SIGNATURES,
    TRACKS,
    Brief,
    StemControl,
    caption_prompt,
    caption_text,
    lyrics_prompt,
    metadata_text,
    remarks,
)
from acestep_core.text.tasks import TASKS, instruction
from support.reference.golden_briefs import ALL_CASES, CASES, briefs_of, has_codes, task_of

FILL = "Fill the audio semantic mask based on the given conditions:"
briefs = st.builds(
    Brief,
    caption=st.text(),
    lyrics=st.text(),
    language=st.sampled_from(LANGUAGES),
    bpm=st.none() | st.just(0) | st.integers(30, 300),
    key=st.sampled_from((None, "", *KEYS)),
    time_signature=st.sampled_from((None, " ", *TIME_SIGNATURES)),
    duration=st.none() | st.floats(0.1, 700),
)


@given(briefs)
def test_a_caption_prompt_always_holds_its_three_headings_in_order_and_ends_the_text_once(brief):
    text, end, newline = caption_prompt(FILL, brief).pieces

    assert text.startswith(f"# Instruction\n{FILL}\n\n# Caption\n{caption_text(brief)}\n\n# Metas\n- bpm: ")
    assert text.endswith(metadata_text(brief))
    assert (end, newline) == (END_OF_TEXT, "\n")


@given(briefs)
def test_the_metadata_are_always_four_lines_in_one_order(brief):
    lines = metadata_text(brief).splitlines()

    assert [line.split(":")[0] for line in lines] == ["- bpm", "- timesignature", "- keyscale", "- duration"]
    assert all(line.split(": ")[1].strip() for line in lines)


@given(briefs)
def test_lyrics_stand_in_their_prompt_untouched(brief):
    assert lyrics_prompt(brief).pieces == (
        f"# Languages\n{brief.language}\n\n# Lyric\n{brief.lyrics}",
        END_OF_TEXT,
    )


@given(st.text(), st.text())
def test_a_caption_that_is_a_whole_prompt_gives_the_same_prompt_again(caption, lyrics):
    brief = Brief(caption.strip().replace("# ", ""), lyrics, bpm=90)
    pasted = Brief(str(caption_prompt(FILL, brief)), lyrics, bpm=90)

    assert caption_prompt(FILL, pasted) == caption_prompt(FILL, brief)


@pytest.mark.parametrize(("variant", "name"), ALL_CASES)
def test_prompts_equal_the_recorded_ones(variant, name):
    case = CASES[variant][name]
    for index, brief in enumerate(briefs_of(variant, name)):
        order = instruction(task_of(variant, name), brief.tracks, has_codes(name))

        assert is_recorded(case["text"][index], caption_prompt(order, brief))
        assert is_recorded(case["lyrics_text"][index], lyrics_prompt(brief))


def is_recorded(recorded, prompt):
    """Recordings go on with the tokenizer's own end-of-text token and the padding of their batch."""
    return recorded.startswith(str(prompt)) and set(recorded[len(str(prompt)) :].split(str(END_OF_TEXT))) == {
        ""
    }


def test_everything_left_to_the_model_reads_na_but_the_duration():
    assert metadata_text(Brief("")) == (
        "- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: 30 seconds\n"
    )
    assert metadata_text(Brief("", bpm=0, key=" ", time_signature="")) == metadata_text(Brief(""))


def test_metadata_are_written_as_given():
    brief = Brief("", bpm=80, key="C# minor", time_signature="4/4", duration=95.98)

    assert metadata_text(brief) == (
        "- bpm: 80\n- timesignature: 4/4\n- keyscale: C# minor\n- duration: 95 seconds\n"
    )


def test_an_instruction_gets_the_colon_it_lacks_and_no_second_one():
    assert caption_prompt("Sing", Brief("x")) == caption_prompt("Sing:", Brief("x"))
    assert str(caption_prompt("Sing", Brief("x"))).startswith("# Instruction\nSing:\n\n")


def test_a_pasted_prompt_without_metadata_is_read_to_its_end():
    brief = Brief("# Instruction\nFill it:\n\n# Caption\n  calm piano \n")

    assert caption_text(brief) == "calm piano"
    assert any("whole prompt" in line for line in remarks(brief))


def test_a_pasted_prompt_is_read_from_its_first_caption_heading_on():
    brief = Brief("# Instruction\nFill it:\n\n# Caption\na song called # Caption two\n\n# Metas\n- bpm: 90\n")

    assert caption_text(brief) == "a song called # Caption two"


def test_headings_alone_do_not_make_a_caption_a_prompt():
    assert caption_text(Brief("# Caption of my life")) == "# Caption of my life"


def test_instrumental_changes_the_words_and_nothing_else():
    brief = Brief("calm", "la la", language="zh", bpm=90)

    assert brief.as_instrumental() == Brief("calm", INSTRUMENTAL, language="zh", bpm=90)
    assert brief.as_instrumental().instrumental
    assert not brief.instrumental
    assert str(lyrics_prompt(brief.as_instrumental())) == (
        "# Languages\nzh\n\n# Lyric\n[Instrumental]<|endoftext|>"
    )


def test_empty_lyrics_stay_empty():
    assert str(lyrics_prompt(Brief("calm"))) == "# Languages\nen\n\n# Lyric\n<|endoftext|>"


def test_stem_control_puts_the_song_above_the_stem():
    stem = StemControl("a rock song", explicit_mask=True)

    assert caption_text(Brief("dry drums", stem=stem)) == (
        "Global: a rock song\nLocal: dry drums\nMask Control: true"
    )


def test_a_segment_of_a_stem_leaves_the_song_out():
    stem = StemControl("a rock song", explicit_mask=False, segment=True)

    assert caption_text(Brief("dry drums", stem=stem)) == "Local: dry drums\nMask Control: false"


def test_the_known_words_are_as_many_as_the_model_knows():
    assert (len(KEYS), len(set(KEYS))) == (70, 70)
    assert (len(LANGUAGES), len(set(LANGUAGES))) == (51, 51)
    assert (len(TRACKS), len(set(TRACKS))) == (12, 12)
    assert TIME_SIGNATURES == ("2", "3", "4", "6")


@pytest.mark.parametrize(
    ("fields", "problem", "remedy"),
    [
        ({"language": "xx"}, "language 'xx'", "yue"),
        ({"language": ""}, "language ''", "unknown"),
        ({"key": "H dur"}, "key 'H dur'", "C# minor"),
        ({"key": "c major"}, "key 'c major'", "C# minor"),
        ({"time_signature": "5"}, "time signature '5'", "2, 3, 4, 6"),
        ({"bpm": 29}, "29 bpm", "30 to 300"),
        ({"bpm": 301}, "301 bpm", "30 to 300"),
        ({"bpm": -1}, "-1 bpm", "30 to 300"),
        ({"duration": 0.0}, "0 seconds", "10 to 600"),
        ({"duration": -1.0}, "-1 seconds", "10 to 600"),
        ({"duration": math.nan}, "nan seconds", "10 to 600"),
        ({"duration": math.inf}, "inf seconds", "10 to 600"),
        ({"tracks": ("vocals", "kazoo")}, "track 'kazoo'", "backing_vocals"),
        ({"tracks": ("bass", "bass")}, "twice", "once"),
        ({"caption": "ab\ud83d"}, "Character 3 of the caption", "emoji"),
        ({"lyrics": "\udc00"}, "Character 1 of the lyrics", "emoji"),
        ({"stem": StemControl("\ud83d", True)}, "Character 1 of the global caption", "emoji"),
    ],
)
def test_a_brief_that_the_model_cannot_read_is_refused(fields, problem, remedy):
    with pytest.raises(InvalidInputError) as refused:
        Brief(**{"caption": "calm", **fields})

    assert problem in refused.value.problem
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("seconds", [5.12, 601.0])
def test_an_unusual_length_is_allowed_and_said(seconds):
    assert any("10 to 600" in line for line in remarks(Brief("", duration=seconds)))
    assert remarks(Brief("", duration=60.0)) == ()


def test_every_task_fits_the_prompt():
    for task in TASKS.values():
        assert "{" not in str(caption_prompt(instruction(task), Brief("calm")))
