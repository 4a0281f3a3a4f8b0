"""Tags are added to sound files without touching the sound, where players and ComfyUI's frontend look for them."""

import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

FORMATS = [
    "FLAC 24-bit",
    "FLAC 16-bit",
    "WAV 16-bit",
    "WAV 24-bit",
    "WAV 32-bit float",
    "MP3 192 kbit/s",
    "Opus 128 kbit/s",
]
WORD = "Gr\u00fc\u00dfe \u4f60\u597d \U0001f3b8"


@pytest.fixture
def tags(pack):
    return pack.nodes.host.audio_tags


@pytest.fixture
def encode(pack):
    """Bytes of a song in a format, and its extension."""
    files = pack.acestep_core.sound.audio_file

    def encode(name="FLAC 24-bit", samples=48_123, channels=2, rate=48_000, seed=0):
        song = torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed)) * 0.2
        form = files.FORMATS[name]
        return files.encode_audio(song, rate, form), form.extension

    return encode


def sound_in(content, extension):
    kind = "float32" if extension in (".mp3", ".opus") else "float64"
    return soundfile.read(io.BytesIO(content), dtype=kind, always_2d=True)


def tags_in(content):
    import av

    with av.open(io.BytesIO(content)) as file:
        return {**file.metadata, **file.streams.audio[0].metadata}


def vorbis_comments(block):
    """As the frontend reads them: bytes as characters."""
    place = 4 + int.from_bytes(block[:4], "little")
    count = int.from_bytes(block[place : place + 4], "little")
    place += 4
    found = {}
    for _ in range(count):
        length = int.from_bytes(block[place : place + 4], "little")
        name, _, text = block[place + 4 : place + 4 + length].decode("latin-1").partition("=")
        found[name] = text
        place += 4 + length
    return found


def read_flac(content):
    assert content[:4] == b"fLaC"
    place = 4
    while True:
        kind, size = content[place], int.from_bytes(content[place + 1 : place + 4], "big")
        if kind & 127 == 4:
            return vorbis_comments(content[place + 4 : place + 4 + size])
        assert not kind & 128, "no comments"
        place += 4 + size


def head(content, mark, times):
    """What the frontend looks at: blocks of growing size (1.32.9) up to the mark."""
    text, seen = "", 0
    while len(text) < len(content) and seen < times:
        page = content[len(text) : 2 * len(text) + 4096].decode("latin-1")
        assert len(page) <= 2**16, "too many arguments for the browser's String.fromCharCode"
        text, seen = text + page, seen + (mark in page)
    return text


def read_mp3(content):
    text = head(content, "\xff\xfb", 1)
    return {name: re.search(name + "\0(\\{.*?\\})\0", text, re.DOTALL)[1] for name in ("prompt", "workflow")}


def read_opus(content):
    text = head(content, "OggS\0", 2)
    found = {}
    for name in ("prompt", "workflow"):
        loose = re.search(name + "=(\\{.*?(\\}.*?\0))", text, re.DOTALL)[1]
        found[name] = re.search("\\{.*\\}", loose)[0]
    return found


FRONTEND = {".flac": read_flac, ".mp3": read_mp3, ".opus": read_opus}


def read_by_frontend(content, extension):
    """Workflow and prompt, by the rules of the frontend's own parsers."""
    found = FRONTEND[extension](bytes(content))
    return json.loads(found["workflow"]), json.loads(found["prompt"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("channels", "rate", "samples"), [(2, 48_000, 48_123), (1, 48_000, 9_601), (2, 48_000, 5 * 48_000)]
)
def test_the_sound_stays_bit_for_bit(tags, encode, name, channels, rate, samples):
    plain, extension = encode(name, samples, channels, rate)
    labelled = tags.tagged(plain, extension, {"workflow": '{"a": 1}', "title": WORD, "lyrics": "la\nla"})
    before, after = sound_in(plain, extension), sound_in(labelled, extension)
    assert before[1] == after[1] == rate
    assert before[0].shape == after[0].shape
    assert np.array_equal(before[0], after[0])
    assert soundfile.info(io.BytesIO(labelled)).subtype == soundfile.info(io.BytesIO(plain)).subtype


@pytest.mark.parametrize("name", ["FLAC 24-bit", "FLAC 16-bit", "MP3 320 kbit/s", "Opus 96 kbit/s"])
def test_tags_are_found_again(tags, encode, name):
    plain, extension = encode(name)
    wanted = {
        "title": WORD,
        "lyrics": f"[Verse]\n{WORD}\n\n[Chorus]\nla",
        "comment": "synthpop",
        "bpm": "120",
    }
    found = {key.lower(): text for key, text in tags_in(tags.tagged(plain, extension, wanted)).items()}
    assert found["title"] == WORD
    assert found["comment"] == "synthpop"
    assert WORD in found.get("lyrics", "") + found.get("uslt", "")
    assert found.get("bpm", found.get("tbpm")) == "120"


@pytest.mark.parametrize("name", ["FLAC 24-bit", "MP3 128 kbit/s", "Opus 192 kbit/s"])
@pytest.mark.parametrize("size", [0, 125, 32_000, 45_000])
def test_the_frontend_finds_workflow_and_prompt(tags, encode, name, size):
    workflow, prompt = (
        {"nodes": [{"note": "x" * size + WORD, "deep": {}}]},
        {"1": {"inputs": {"text": "a}b{\n"}}},
    )
    given = {**tags.workflow_tags(prompt, {"workflow": workflow}), "title": WORD, "lyrics": "y" * 600}
    plain, extension = encode(name, samples=10 * 48_000)
    assert tags.has_room(extension, given)
    assert read_by_frontend(tags.tagged(plain, extension, given), extension) == (workflow, prompt)


@pytest.mark.slow
@pytest.mark.parametrize("length", range(110, 140))
def test_the_length_of_the_next_tag_is_never_taken_for_json(tags, encode, length):
    """A length of 125 is a closing brace for the frontend."""
    plain, extension = encode("Opus 96 kbit/s", samples=10 * 48_000)
    given = {**tags.workflow_tags({"1": {}}, {"workflow": {"w": {}}}), "title": "t" * length}
    assert read_by_frontend(tags.tagged(plain, extension, given), extension) == ({"w": {}}, {"1": {}})


def test_what_the_frontend_would_not_find_has_no_room(tags):
    for extension, size in {".opus": 65_000, ".mp3": 127_000, ".flac": 2**24, ".wav": 1}.items():
        assert not tags.has_room(extension, {"workflow": "x" * size})
    assert tags.has_room(".wav", {})


def test_json_has_nothing_that_a_browser_refuses(tags):
    text = tags.workflow_tags({"1": {"is_changed": [float("nan"), float("inf"), object]}}, None)["prompt"]
    assert json.loads(text, parse_constant=pytest.fail)["1"]["is_changed"][:2] == [None, None]
    assert tags.workflow_tags({"a": WORD}, None)["prompt"].isascii()


def test_the_workflow_comes_first_and_nothing_is_lost(tags):
    found = tags.workflow_tags({"1": {}}, {"aaa": 1, "workflow": {}, "zzz": [2]})
    assert list(found) == ["workflow", "prompt", "aaa", "zzz"]
    assert tags.workflow_tags(None, None) == {}


def condition(pack, **words):
    brief = pack.acestep_core.text.prompts.Brief(**{"caption": "a song", **words})
    return SimpleNamespace(brief=brief, task=pack.acestep_core.text.tasks.TASKS["text2music"])


def test_a_brief_is_told_in_tags(pack, tags):
    brief = condition(
        pack,
        caption="Synthpop, bright.\nFemale vocals.",
        lyrics=WORD,
        language="de",
        bpm=120,
        key="C# minor",
        time_signature="3/4",
        tracks=("drums", "bass"),
    )
    assert tags.brief_tags(brief) == {
        "title": "Synthpop, bright.",
        "comment": "Synthpop, bright.\nFemale vocals.",
        "lyrics": WORD,
        "language": "de",
        "bpm": "120",
        "initialkey": "C# minor",
        "timesignature": "3/4",
        "tracks": "drums, bass",
        "task": "text2music",
    }


def test_what_was_left_to_the_model_is_no_tag(pack, tags):
    assert tags.brief_tags(condition(pack, caption="", bpm=0, key=" ")) == {"task": "text2music"}
    assert "language" not in tags.brief_tags(condition(pack, lyrics="[Instrumental]"))


def test_very_long_lyrics_fit(pack, tags, encode):
    found = tags.brief_tags(condition(pack, caption=WORD * 10**5, lyrics=f"{WORD}\n" * 10**5))
    for name in ("FLAC 16-bit", "WAV 16-bit", "MP3 128 kbit/s", "Opus 96 kbit/s"):
        plain, extension = encode(name)
        assert np.array_equal(
            sound_in(plain, extension)[0], sound_in(tags.tagged(plain, extension, found), extension)[0]
        )


def test_without_tags_the_file_is_the_same(tags, encode):
    plain, extension = encode()
    assert tags.tagged(plain, extension, {}) is plain
