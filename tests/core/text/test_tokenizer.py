import json
import shutil
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from acestep_core.errors import AceStepError, UnsupportedCheckpointError
from acestep_core.text.prompts import END_OF_TEXT, Brief, Prompt, Special, caption_prompt, lyrics_prompt
from acestep_core.text.tasks import TEXT2MUSIC, instruction
from acestep_core.text.tokenizer import REACHES, TextTokenizer
from support.reference.golden_briefs import ALL_CASES, ENCODER_FOLDER, GOLDEN, briefs_of, has_codes, task_of
from support.tiny.tokenizer import tokenizer_json

CAPTION_IDS = [
    *(
        2,
        29051,
        198,
        14449,
        279,
        7699,
        41733,
        6911,
        3118,
        389,
        279,
        2661,
        4682,
        1447,
        2,
        37600,
        198,
        32,
        19300,
    ),
    *(
        26278,
        4935,
        329,
        271,
        2,
        6212,
        300,
        198,
        12,
        97724,
        25,
        220,
        23,
        15,
        198,
        12,
        3039,
        622,
        1568,
        25,
        220,
        19,
    ),
    *(198, 12, 6894, 2246, 25, 356, 3598, 198, 12, 8090, 25, 220, 18, 15, 6486, 198, 151643, 198),
]
LYRIC_IDS = [2, 54964, 198, 268, 271, 2, 15953, 2216, 198, 58, 56324, 278, 60, 151643]
INJECTIONS = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|im_start|>",
    "<think>",
    "</think>",
    "<|audio_code_5|>",
    "<tool_call>",
]
# Words, injections and any other unicode, mixed.
hostile = st.lists(st.sampled_from(INJECTIONS) | st.text(max_size=12), max_size=8).map("".join)


@pytest.fixture(scope="module")
def official():
    return TextTokenizer.from_folder(ENCODER_FOLDER)


@pytest.fixture(scope="module")
def qwen(comfyui_dir):
    return TextTokenizer.from_comfyui(comfyui_dir / "comfy" / "text_encoders" / "qwen25_tokenizer")


@pytest.fixture(scope="module")
def qwen_peer(comfyui_dir):
    from transformers import Qwen2Tokenizer

    return Qwen2Tokenizer.from_pretrained(comfyui_dir / "comfy" / "text_encoders" / "qwen25_tokenizer")


def test_the_worked_example_has_its_59_and_14_ids_and_one_end_of_text(qwen):
    brief = Brief(
        "A calm piano ballad", "[Instrumental]", bpm=80, time_signature="4", key="C major", duration=30
    )
    caption, lyrics = caption_prompt(instruction(TEXT2MUSIC), brief), lyrics_prompt(brief)

    assert (len(CAPTION_IDS), len(LYRIC_IDS)) == (59, 14)
    assert qwen.ids(caption) == CAPTION_IDS
    assert qwen.ids(lyrics) == LYRIC_IDS
    assert qwen.encode(caption, 256).ids == (*CAPTION_IDS, 151643)
    assert qwen.encode(lyrics, 2048).ids == (*LYRIC_IDS, 151643)


def test_comfyuis_vocabulary_gets_the_ids_of_qwen3(qwen):
    expected = {
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<tool_response>": 151665,
        "</tool_response>": 151666,
        "<think>": 151667,
        "</think>": 151668,
        "<|audio_code_0|>": 151669,
        "<|audio_code_63999|>": 215668,
    }

    assert {name: qwen.special(name) for name in expected} == expected
    assert (qwen.first_code, qwen.codes) == (151669, 64_000)
    assert not {"<|img|>", "<|endofimg|>", "<|meta|>", "<|endofmeta|>"} & qwen.special_ids.keys()
    assert qwen.decode([151667, 198, 151668, 151669 + 63999]) == "<think>\n</think><|audio_code_63999|>"


@given(text=st.text())
@example(text="caf\u00e9 cafe\u0301 \ufb01")  # composed, decomposed, ligature
@example(text="[Verse 1]\r\n\u6625\u7720\u4e0d\u89c9\u6653  It's 1984!\t\n\n \U0001f3b5\u200d")
def test_ordinary_text_gets_the_ids_of_transformers(qwen, qwen_peer, text):
    assert qwen.ids(text) == qwen_peer(text, add_special_tokens=False).input_ids


def test_digits_and_fields_are_split_as_the_planner_was_taught(qwen):
    assert qwen.ids("keyscale:") == [10563, 2246, 25]
    assert qwen.ids(" G major") == [479, 3598]
    assert qwen.ids("bpm: 120") == [65, 5187, 25, 220, 16, 17, 15]


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_ids_equal_the_recorded_ones(official, variant):
    recorded = load_file(GOLDEN / f"golden_{variant}.safetensors")
    for name in (name for owner, name in ALL_CASES if owner == variant):
        for index, brief in enumerate(briefs_of(variant, name)):
            order = instruction(task_of(variant, name), brief.tracks, has_codes(name))
            prompts = {"text": caption_prompt(order, brief), "lyric": lyrics_prompt(brief)}
            for kind, prompt in prompts.items():
                row = recorded[f"{name}/{kind}_ids"][index]
                length = int(recorded[f"{name}/{kind}_mask"][index].sum())

                assert official.encode(prompt, 2048).ids == tuple(row[:length].tolist()), (name, kind)
                assert (row[length:] == official.end).all()


@given(caption=hostile, lyrics=hostile)
def test_nothing_that_a_user_writes_becomes_a_special_token(official, caption, lyrics):
    brief = Brief(caption, lyrics)
    for prompt, ends in ((caption_prompt("Fill:", brief), 2), (lyrics_prompt(brief), 2)):
        ids = official.encode(prompt, 1 << 20).ids

        assert [token for token in ids if token in official.special_names] == [official.end] * ends
        assert ids[-1] == official.end


@given(text=hostile.filter(str.isascii))
def test_text_survives_encoding_and_decoding(official, text):
    assert official.decode(official.ids(text)) == text


@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@example("你好世界 🎵 e\u0301\x00\xad")
def test_the_bytes_of_all_tokens_are_those_of_the_text(official, text):
    normal = unicodedata.normalize("NFC", text) if official.bpe.normalizer else text
    assert b"".join(official.pieces(official.ids(text))) == normal.encode()


def test_a_character_of_several_tokens_has_its_bytes_spread_over_them(official):
    pieces = official.pieces(official.ids("你"))
    assert len(pieces) > 1
    assert b"".join(pieces).decode() == "你"


@given(text=hostile, limit=st.integers(1, 60))
def test_a_limit_is_never_exceeded_and_what_is_cut_is_counted(official, text, limit):
    prompt = lyrics_prompt(Brief("", text))
    whole, tokens = official.ids(prompt), official.encode(prompt, limit)

    assert len(tokens.ids) <= limit
    assert tokens.ids == (*whole[: limit - 1], official.end)
    assert tokens.dropped == max(0, len(whole) - (limit - 1))
    assert tokens.cut_text == official.decode(whole[limit - 1 :])


def test_a_limit_of_256_keeps_255_tokens_of_content(qwen):
    tokens = qwen.encode(Prompt((" la" * 300, END_OF_TEXT, "\n")), 256)

    assert (len(tokens.ids), tokens.dropped) == (256, 300 + 2 - 255)
    assert len(set(tokens.ids[:255])) == 1
    assert tokens.ids[255] == 151643
    assert tokens.cut_text == " la" * 45 + "<|endoftext|>\n"


def test_what_just_fits_is_not_cut(official):
    tokens = official.encode("a b", 1 + len(official.ids("a b")))

    assert (tokens.dropped, tokens.cut_text) == (0, "")


def test_exactly_one_end_is_appended_whatever_the_post_processor_does(tmp_path):
    ids = []
    for appends_end in (True, False):
        (tmp_path / "tokenizer.json").write_text(tokenizer_json(appends_end=appends_end))
        ids.append(TextTokenizer.from_folder(tmp_path).encode("calm piano", 20).ids)

    assert ids[0] == ids[1]
    assert ids[0].count(151643) == 1


def test_truncation_and_padding_stored_in_the_file_are_not_obeyed(tmp_path):
    raw = json.loads(tokenizer_json())
    raw["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    raw["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))

    tokenizer = TextTokenizer.from_folder(tmp_path)

    assert tokenizer.decode(tokenizer.ids("calm piano")) == "calm piano"


def test_special_pieces_become_their_tokens_and_text_around_them_stays(official):
    prompt = Prompt((Special("<|im_start|>"), "user\nhi", Special("<|im_end|>"), "\n"))

    assert official.decode(official.ids(prompt)) == str(prompt) == "<|im_start|>user\nhi<|im_end|>\n"
    assert official.ids(prompt)[0] == official.special("<|im_start|>")


def test_special_names_in_a_text_are_found_once_each(official):
    text = "a <|endoftext|> b <think><|endoftext|> <b> < <|audio_code_7|>"

    assert official.special_names_in(text) == ("<|endoftext|>", "<think>", "<|audio_code_7|>")


def test_codes_are_found_by_name(tmp_path, official):
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(audio_codes=12))
    planner = TextTokenizer.from_folder(tmp_path)

    assert (planner.first_code, planner.codes) == (151669, 12)
    assert (official.first_code, official.codes) == (405, 64)


def test_a_vocabulary_without_codes_has_none(tmp_path):
    (tmp_path / "tokenizer.json").write_text(tokenizer_json())
    plain = TextTokenizer.from_folder(tmp_path)

    assert (plain.first_code, plain.codes) == (None, 0)


@pytest.mark.parametrize("code", [0, 5, 11])
def test_codes_with_a_gap_are_refused(tmp_path, code):
    raw = json.loads(tokenizer_json(audio_codes=12))
    for token in raw["added_tokens"]:
        if token["content"] == f"<|audio_code_{code}|>":
            token["id"] = 200_000
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))

    with pytest.raises(UnsupportedCheckpointError, match="12 audio code tokens"):
        TextTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "has no tokenizer.json"),
        ("not json", "cannot be read"),
        ("[]", "is not a JSON object"),
        ("{}", "is no tokenizer"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(AceStepError, match=problem) as refused:
        TextTokenizer.from_folder(tmp_path)
    assert refused.value.remedy


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(UnsupportedCheckpointError, match=r"has no tokenizer.json"):
        TextTokenizer.from_folder(tmp_path / "nowhere")


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path):
    raw = json.loads(tokenizer_json(appends_end=False))
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] != "<|endoftext|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))

    with pytest.raises(UnsupportedCheckpointError, match=r"no token <\|endoftext\|>"):
        TextTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json"])
def test_an_incomplete_folder_of_comfyui_is_refused(tmp_path, comfyui_dir, name):
    source = comfyui_dir / "comfy" / "text_encoders" / "qwen25_tokenizer"
    for file in source.iterdir():
        if file.name != name:
            shutil.copy(file, tmp_path)

    with pytest.raises(UnsupportedCheckpointError, match=f"lacks {name}"):
        TextTokenizer.from_comfyui(tmp_path)


# ---------------------------------------------------------------- texts that are far too long

KINDS = {
    "lines": "la la love\n",
    "words": "Gr\u00fc\u00dfe, \u4f60\u597d! ",
    "digits": "31415926",
    "no blanks": "abcdefghijk",
    "one letter": "a",
    "blanks": " ",
    "mixed blanks": "a   \n \t  b",
    "marks": "!?!\n\n",
    "accents": "e\u0301\u0323",
    "emoji": "\U0001f3b8\U0001f469\u200d\U0001f3a4",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [2048])
def test_a_long_text_is_cut_far_behind_what_is_kept(official, kind, limit):
    text = KINDS[kind] * (400_000 // len(KINDS[kind]))
    whole = official.ids(text)
    tokens = official.encode(text, limit)
    assert tokens.more
    assert tokens.ids == (*whole[: limit - 1], official.end)
    assert 0 < tokens.dropped < len(whole)
    assert tokens.cut_text[:80] == official.decode(whole[limit - 1 : limit + 800])[:80]


@pytest.mark.parametrize("length", [REACHES[0], REACHES[0] + 1, REACHES[1]])
def test_up_to_a_limit_every_token_that_does_not_fit_is_counted(official, length):
    text = "a" * length
    whole, tokens = official.ids(text), official.encode(text, 2048)
    assert not tokens.more
    assert tokens.ids == (*whole[:2047], official.end)
    assert tokens.dropped == len(whole) - 2047


def test_what_stands_behind_a_cut_is_not_read(official):
    prompt = Prompt(("la " * 100_000, END_OF_TEXT, "\n"))
    ids, more = official.first_ids(prompt, 2048)
    assert more
    assert ids == official.ids("la " * 100_000)[: len(ids)]


@pytest.mark.parametrize(
    "text", ["la la love\n" * 10**6, "a" * 10**7, "7" * 10**7, " " * 10**7, "\u0301" * 10**7]
)
def test_millions_of_characters_take_the_time_of_few(official, monkeypatch, text):
    read = []
    bpe = official.bpe

    class Counting:
        def encode(self, piece):
            read.append(len(piece))
            return bpe.encode(piece)

        def __getattr__(self, name):
            return getattr(bpe, name)

    monkeypatch.setattr(official, "bpe", Counting())
    tokens = official.encode(Prompt((text, END_OF_TEXT)), 2048)
    assert len(tokens.ids) == 2048
    assert sum(read) <= sum(REACHES)


# ---------------------------------------------------------------- tokenizer.json of any content


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": {"type": "BPE"}},
        {"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "z"]]}},
        {"model": {"type": "Magic"}},
        {"pre_tokenizer": 5},
        {
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"Regex": "("},
                "behavior": "Isolated",
                "invert": False,
            }
        },
        {"normalizer": "NFC"},
        {"decoder": {"type": "Magic"}},
        {"version": 7},
        {"added_tokens": None},
        {"added_tokens": {"a": 1}},
        {"added_tokens": [3]},
        {"added_tokens": [{"content": "<|endoftext|>"}]},
        {"added_tokens": [{"content": 5, "id": 1}]},
        {"added_tokens": [{"content": "<|endoftext|>", "id": "1"}]},
        {"added_tokens": [{"content": "<|endoftext|>", "id": 10**30}]},
        {"added_tokens": [{"content": f"<|audio_code_{'9' * 5000}|>", "id": 1}]},
    ],
)
def test_any_fault_of_a_tokenizer_file_is_our_error(tmp_path, change):
    sound = json.loads((ENCODER_FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**sound, **change}), encoding="utf-8")
    with pytest.raises(UnsupportedCheckpointError) as refused:
        TextTokenizer.from_folder(tmp_path)
    assert len(str(refused.value)) < 400
