"""Audio codes as text and as a file."""

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import AceStepError, InvalidInputError
from acestep_core.networks.config import AUDIO_CODES
from acestep_core.planner import chain_of_thought
from acestep_core.text import code_text
from acestep_core.text import tokenizer as text_tokenizer
from acestep_core.text.code_text import (
    MAX_CODES,
    MAX_FILE_BYTES,
    MAX_SONGS,
    codes_from_json,
    codes_to_json,
    format_codes,
    format_songs,
    parse_codes,
    parse_songs,
    read_codes,
)

CODE = st.integers(0, AUDIO_CODES - 1)
SONG = st.lists(CODE, min_size=1, max_size=40).map(tuple)
SONGS = st.lists(SONG, min_size=1, max_size=4).map(tuple)
GAP = st.text(" \t\n\r,", max_size=4)
HEAD = {"format": "ace-step-1.5-codes", "version": 1}


def file_with(**fields) -> bytes:
    return json.dumps(HEAD | fields).encode()


@given(SONG)
def test_text_comes_back_as_the_same_codes(song):
    assert parse_codes(format_codes(song)) == song


@given(SONGS)
def test_a_batch_comes_back_from_text_and_from_a_file(songs):
    assert parse_songs(format_songs(songs)) == songs
    assert codes_from_json(codes_to_json(songs).encode(), "x.json") == songs


@given(song=SONG, gaps=st.lists(GAP, min_size=41, max_size=41))
def test_white_space_and_commas_between_codes_do_not_matter(song, gaps):
    tokens = [format_codes([code]) for code in song]
    assert (
        parse_codes("".join(gap + token for gap, token in zip(gaps, tokens, strict=False)) + gaps[-1]) == song
    )


@given(st.text(alphabet="<|audio_code_>0123456789, \n", max_size=60))
def test_any_text_is_codes_or_an_error_of_ours(text):
    with contextlib.suppress(AceStepError):
        assert parse_codes(text)


@given(st.binary(max_size=200))
def test_any_file_is_codes_or_a_clear_error(content):
    with pytest.raises(InvalidInputError):
        codes_from_json(content, "x.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(songs=JSON, version=st.just(1) | JSON)
def test_whatever_stands_in_a_file_becomes_codes_or_a_clear_error(songs, version):
    try:
        parsed = codes_from_json(file_with(songs=songs, version=version), "x.json")
    except AceStepError:
        return
    assert parsed == tuple(map(tuple, songs))
    assert all(type(code) is int and 0 <= code < AUDIO_CODES for song in parsed for code in song)


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "\n", "<|audio_code_5|>"]), max_size=12))
def test_thoughts_are_left_out_from_the_first_tag_to_the_next_closing_one(pieces):
    text = "".join(pieces)
    assert code_text.without_thoughts(text) == re.sub(r"(?s)<think>.*?</think>", " ", text)


def test_a_text_full_of_open_thoughts_is_read_in_one_go():
    """Each of a million tags looking for its end would take hours."""
    text = "<think>" * 1_000_000
    assert code_text.without_thoughts(text) == text
    assert chain_of_thought.read(text) == chain_of_thought.Thought()


def test_what_a_planner_writes_around_the_codes_is_left_out():
    text = "<think>\nbpm: 80\n\ncaption: <|audio_code_9|> calm\n</think>\n\n<|im_end|>\n<|audio_code_5|><|audio_code_07|><|im_end|>"
    assert parse_codes(text) == (5, 7)
    assert parse_songs(text) == ((5, 7),)


def test_a_blank_line_separates_songs_and_a_line_break_does_not():
    one, two = "<|audio_code_1|>\n<|audio_code_2|>", "<|audio_code_3|>"
    for blank in ("\n\n", "\r\n\r\n", "\n \n\n"):
        assert parse_songs(f"Two songs:\n\n{one}{blank}{two}\n\nDone.") == ((1, 2), (3,))


def test_a_code_s_token_and_the_longest_song_are_the_model_s():
    assert re.fullmatch(text_tokenizer.CODE_NAME, format_codes([AUDIO_CODES - 1]))
    assert MAX_CODES == 3000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no audio code"),
        ("la la la", "holds no audio code"),
        ("1, 2, 3", "holds no audio code"),
        ("<|audio_code_|>", "broken code at 'audio_code_|>'"),
        ("<|audio_code_-1|>", "broken code at 'audio_code_-1|>'"),
        ("<|audio_code_1.5|>", "broken code"),
        ("<|audio_code_1|><|audio_code_2", "broken code at 'audio_code_2'"),
        ("<|audio_code_1|> and <|audio_code_2|>", "Behind code 1 stands 'and'"),
        ("<|audio_code_1|><|audio_code_64000|>", "holds 64000 as code 2"),
        ("<|audio_code_" + "9" * 9999 + "|>", "as code 1"),
        ("<|audio_code_1|>" * 3001, "3001 codes, which is 600.2 s"),
    ],
)
def test_text_that_is_not_codes_says_where_it_fails(text, problem):
    with pytest.raises(InvalidInputError, match=re.escape(problem)):
        parse_codes(text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a whole JSON file"),
        (b'{"format": "ace-step-1.5-codes", "version": 1, "songs": [[1', "not a whole JSON file"),
        (b"\xff\xfe", "not a whole JSON file"),
        (b"[" * 200_000, "not a whole JSON file"),
        (
            b'{"format": "ace-step-1.5-codes", "version": 1, "songs": [[' + b"9" * 5000 + b"]]}",
            "JSON file|12 digits",
        ),
        (b" " * (MAX_FILE_BYTES + 1), "larger than 8 MB"),
        (b"[[1, 2]]", "its format is not"),
        (b'{"nodes": []}', "its format is not"),
        (file_with(version=2, songs=[[1]]), "of version 2"),
        (file_with(version=True, songs=[[1]]), "of version True"),
        (file_with(version=1.0, songs=[[1]]), "of version 1.0"),
        (file_with(), "no list of songs"),
        (file_with(songs={"0": [1]}), "no list of songs"),
        (file_with(songs=[[1]], title="x"), "unknown field 'title'"),
        (file_with(songs=[]), "holds 0 songs"),
        (file_with(songs=[[1]] * (MAX_SONGS + 1)), "holds 65 songs"),
        (file_with(songs=[[1], []]), "song 2, holds no list of codes"),
        (file_with(songs=["12"]), "holds no list of codes"),
        (file_with(songs=[[1, -1]]), "holds -1 as code 2"),
        (file_with(songs=[[AUDIO_CODES]]), "holds 64000 as code 1"),
        (file_with(songs=[[10**30]]), "more than 12 digits"),
        (file_with(songs=[[1.0]]), "holds 1.0 as code 1"),
        (file_with(songs=[[True]]), "holds True as code 1"),
        (file_with(songs=[[None]]), "holds None as code 1"),
        (file_with(songs=[["1"]]), "holds '1' as code 1"),
        (file_with(songs=[[[1]]]), "holds a list as code 1"),
        (file_with(songs=[[float("nan")]]), "holds nan as code 1"),
        (file_with(songs=[[0] * (MAX_CODES + 1)]), "3001 codes"),
    ],
)
def test_a_strange_file_says_what_is_wrong_with_it(content, problem):
    with pytest.raises(InvalidInputError, match=problem):
        codes_from_json(content, "x.json")


def test_a_file_that_an_editor_marked_as_utf8_is_read():
    assert codes_from_json(b"\xef\xbb\xbf" + codes_to_json([[1]]).encode(), "x.json") == ((1,),)


@pytest.mark.parametrize("songs", [[], [[]], [[-1]], [[AUDIO_CODES]]])
def test_nothing_is_written_that_could_not_be_read(songs):
    for write in (codes_to_json, format_songs):
        with pytest.raises(InvalidInputError):
            write(songs)


def test_a_file_is_read_from_disk_and_a_missing_one_or_a_folder_is_said(tmp_path):
    path = tmp_path / "song.json"
    path.write_text(codes_to_json([[1, 2]]))
    assert read_codes(path) == ((1, 2),)
    for absent in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_codes(absent)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_a_file_of_codes_is_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidInputError, match="cannot be read: it is no regular file"):
            read_codes(path)
