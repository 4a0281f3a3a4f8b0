import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from acestep_core.checkpoints.load import text_encoder_of
from acestep_core.checkpoints.weights import Weights, load_exactly
from acestep_core.errors import InvalidInputError
from acestep_core.files import read_json
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.silence import Silence
from acestep_core.text.conditions import CAPTION_TOKENS, LYRIC_TOKENS, Conditioner
from acestep_core.text.prompts import Brief, StemControl, caption_prompt, lyrics_prompt
from acestep_core.text.tasks import TASKS, TEXT2MUSIC, instruction
from acestep_core.text.tokenizer import TextTokenizer
from support.reference.golden_briefs import (
    ALL_CASES,
    CASES,
    ENCODER_FOLDER,
    GOLDEN,
    briefs_of,
    has_codes,
    task_of,
)

MODEL_FOLDER = GOLDEN / "tiny_official" / "acestep-v15-turbo"
BRIEF = Brief("slow piano", "la la la", bpm=90, key="C major", time_signature="4", duration=30)


class Counting:
    """A condition encoder that counts how many references it listened to."""

    def __init__(self, encoder):
        self.encoder, self.heard = encoder, []
        self.text_projector, self.join = encoder.text_projector, encoder.join

    def timbre(self, references):
        self.heard.append(len(references))
        return self.encoder.timbre(references)


@pytest.fixture(scope="module")
def parts():
    config = ModelConfig.from_json(read_json(MODEL_FOLDER / "config.json"))
    model = Weights.open(MODEL_FOLDER / "model.safetensors")
    text = Weights.open(ENCODER_FOLDER / "model.safetensors")
    silence = torch.load(MODEL_FOLDER / "silence_latent.pt", weights_only=True)
    return {
        "tokenizer": TextTokenizer.from_folder(ENCODER_FOLDER),
        "text_encoder": text_encoder_of(
            text, Qwen3Sizes.from_json(read_json(ENCODER_FOLDER / "config.json")), nn
        ),
        "condition_encoder": load_exactly(lambda: ConditionEncoder(config, nn), model.under("encoder.")),
        "silence": Silence(silence.mT.contiguous()),
    }


@pytest.fixture
def conditioner(parts):
    return Conditioner(**parts)


@pytest.fixture
def counted(parts):
    conditioner = Conditioner(**{**parts, "condition_encoder": Counting(parts["condition_encoder"])})
    return conditioner, conditioner.condition_encoder.heard


def references(count, seed=0):
    return torch.randn(count, 750, 8, generator=torch.Generator().manual_seed(seed))


def close(a, b):
    torch.testing.assert_close(a, b, atol=5e-5, rtol=0)


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_conditions_equal_the_recorded_ones(conditioner, variant):
    recorded = load_file(GOLDEN / f"golden_{variant}.safetensors")
    for name in CASES[variant]:
        for row, brief in enumerate(briefs_of(variant, name)):
            valid = recorded[f"{name}/enc_mask"][row].bool()
            heard = recorded[f"{name}/refer_latents"][row : row + 1] if "reference" in name else None
            condition, _ = conditioner.encode(brief, task_of(variant, name), heard, has_codes(name))

            close(condition.enc, recorded[f"{name}/enc"][row][valid])
            assert condition.brief is brief
            assert condition.task is task_of(variant, name)


def test_the_second_condition_equals_the_recorded_one(conditioner):
    recorded = load_file(GOLDEN / "golden_turbo.safetensors")
    condition, _ = conditioner.encode(briefs_of("turbo", "cover_half")[0], TEXT2MUSIC)

    close(condition.enc, recorded["cover_half/nc_enc"][0])
    assert condition.task is TEXT2MUSIC


def test_lyrics_come_first_then_timbre_then_caption(conditioner):
    base, _ = conditioner.encode(BRIEF, TEXT2MUSIC)
    lyric_count = len(conditioner.tokenizer.ids(f"# Languages\nen\n\n# Lyric\n{BRIEF.lyrics}")) + 2
    caption, _ = conditioner.encode(replace(BRIEF, caption="fast piano"), TEXT2MUSIC)
    sound, _ = conditioner.encode(BRIEF, TEXT2MUSIC, references(1))
    differing = (base.enc != sound.enc).any(1).nonzero().flatten().tolist()

    assert differing == [lyric_count]
    assert torch.equal(caption.enc[: lyric_count + 1], base.enc[: lyric_count + 1])


def test_every_reference_is_one_token_and_they_keep_their_order(conditioner):
    sounds = references(3)
    three, _ = conditioner.encode(BRIEF, TEXT2MUSIC, sounds)
    singles = [conditioner.encode(BRIEF, TEXT2MUSIC, sounds[index : index + 1])[0] for index in range(3)]
    at = int((three.enc[: len(singles[0].enc)] != singles[1].enc).any(1).nonzero()[0])

    assert len(three.enc) == len(singles[0].enc) + 2
    for index, single in enumerate(singles):
        close(three.enc[at + index], single.enc[at])


def test_a_song_does_not_depend_on_those_written_before_it(parts):
    alone, _ = Conditioner(**parts).encode(BRIEF, TEXT2MUSIC)
    busy = Conditioner(**parts)
    busy.encode(replace(BRIEF, lyrics="many more words " * 40), TASKS["repaint"], references(2))
    after, _ = busy.encode(BRIEF, TEXT2MUSIC)

    assert torch.equal(alone.enc, after.enc)


def test_silence_is_listened_to_once(counted):
    conditioner, heard = counted
    first, _ = conditioner.encode(BRIEF, TEXT2MUSIC)
    second, _ = conditioner.encode(BRIEF, TEXT2MUSIC)
    conditioner.encode(replace(BRIEF, caption="fast"), TASKS["cover"])

    assert heard == [1]
    assert torch.equal(first.enc, second.enc)


def test_the_kept_timbre_of_silence_is_made_anew_for_another_computing_type(counted):
    conditioner, heard = counted
    conditioner.condition_encoder.encoder = SimpleNamespace(timbre=lambda sounds: sounds.mean(1))
    kinds = [torch.float32, torch.bfloat16, torch.bfloat16]

    assert [conditioner.timbre(None, torch.zeros(1, dtype=kind)).dtype for kind in kinds] == kinds
    assert heard == [1, 1]


def test_references_are_listened_to_each_time_and_silence_not_at_all(counted):
    conditioner, heard = counted
    conditioner.encode(BRIEF, TEXT2MUSIC, references(2))
    conditioner.encode(BRIEF, TEXT2MUSIC, references(3))

    assert heard == [2, 3]


def test_all_zero_references_count_as_silence(counted):
    conditioner, heard = counted
    silent, report = conditioner.encode(BRIEF, TEXT2MUSIC, torch.zeros(1, 750, 8))
    none, _ = conditioner.encode(BRIEF, TEXT2MUSIC)

    assert torch.equal(silent.enc, none.enc)
    assert heard == [1]
    assert "Timbre: 1 given, 1 of them silent." in report


def test_a_silent_reference_among_others_stands_for_silence(conditioner):
    sounds = references(3)
    sounds[1] = 0
    mixed = conditioner.timbre(sounds, torch.zeros(1))

    close(mixed[1:2], conditioner.timbre(None, torch.zeros(1)))
    close(mixed[[0, 2]], conditioner.timbre(sounds[[0, 2]], torch.zeros(1)))


def test_nothing_that_came_in_is_changed(conditioner):
    sounds = references(2)
    sounds[0] = 0
    before = sounds.clone()
    conditioner.encode(BRIEF, TEXT2MUSIC, sounds)

    assert torch.equal(sounds, before)


def test_conditions_ask_for_no_gradient(conditioner):
    condition, _ = conditioner.encode(BRIEF, TEXT2MUSIC, references(1).requires_grad_())

    assert not condition.enc.requires_grad
    assert condition.enc.ndim == 2


def test_the_computing_type_is_that_of_the_condition_encoder(parts):
    config = ModelConfig.from_json(read_json(MODEL_FOLDER / "config.json"))
    weights = Weights.open(MODEL_FOLDER / "model.safetensors").under("encoder.")
    half = load_exactly(lambda: ConditionEncoder(config, nn), weights, torch.bfloat16)
    condition, _ = Conditioner(**{**parts, "condition_encoder": half}).encode(
        BRIEF, TEXT2MUSIC, references(1)
    )

    assert condition.enc.dtype == torch.bfloat16


def test_the_report_tells_tokens_metadata_and_timbre(conditioner):
    _, report = conditioner.encode(BRIEF, TEXT2MUSIC)
    caption = len(conditioner.tokenizer.ids(caption_prompt(instruction(TEXT2MUSIC), BRIEF)))
    lyrics = len(conditioner.tokenizer.ids(lyrics_prompt(BRIEF)))

    assert report == (
        "Task text2music: Fill the audio semantic mask based on the given conditions:",
        f"Caption: {caption + 1} of 256 tokens.",
        f"Lyrics: {lyrics + 1} of 2048 tokens.",
        "Metadata: bpm: 90, timesignature: 4, keyscale: C major, duration: 30 seconds; language: en",
        "Timbre: none given, silence stands in.",
    )


def test_what_is_cut_is_named(conditioner):
    long = replace(BRIEF, caption="piano " * 300, lyrics="sing it again " * 1500)
    condition, report = conditioner.encode(long, TEXT2MUSIC)
    text = "\n".join(report)

    assert len(condition.enc) == CAPTION_TOKENS + LYRIC_TOKENS + 1
    assert "Caption: 256 of 256 tokens." in text
    assert "Lyrics: 2048 of 2048 tokens." in text
    assert "Caption: the last" in text
    assert "Lyrics: the last" in text
    assert "sing it again" in text


def test_control_tokens_in_a_users_text_are_named_and_change_nothing_else(conditioner):
    odd = replace(BRIEF, caption="piano <|im_end|>", lyrics="<think> la <|audio_code_5|>")
    condition, report = conditioner.encode(odd, TEXT2MUSIC)

    assert "In the caption, <|im_end|> is read as ordinary text, not as a control token." in report
    assert (
        "In the lyrics, <think> <|audio_code_5|> is read as ordinary text, not as a control token." in report
    )
    assert condition.brief is odd


def test_a_track_that_the_task_does_not_name_is_reported(conditioner):
    drums = replace(BRIEF, tracks=("drums",))
    _, unread = conditioner.encode(drums, TEXT2MUSIC)
    _, read = conditioner.encode(drums, TASKS["lego"])

    assert any("drums is not used" in line for line in unread)
    assert not any("not used" in line for line in read)
    assert "DRUMS" in read[0]


def test_stem_control_is_read_by_checkpoints_that_know_it_and_reported_by_others(parts):
    stem = replace(BRIEF, stem=StemControl("a rock song", explicit_mask=True))
    plain, _ = Conditioner(**parts).encode(BRIEF, TASKS["lego"])
    unread, report = Conditioner(**parts).encode(stem, TASKS["lego"])
    read, quiet = Conditioner(**parts, knows_stems=True).encode(stem, TASKS["lego"])

    assert torch.equal(unread.enc, plain.enc)
    assert any("no stem control" in line for line in report)
    assert len(read.enc) > len(plain.enc)
    assert not any("no stem control" in line for line in quiet)


@settings(max_examples=15, deadline=None)
@given(caption=st.text(max_size=400), lyrics=st.text(max_size=400))
def test_any_text_makes_a_finite_condition_within_the_limits(parts, caption, lyrics):
    condition, _ = Conditioner(**parts).encode(Brief(caption, lyrics), TEXT2MUSIC)

    assert condition.enc.isfinite().all()
    assert len(condition.enc) <= CAPTION_TOKENS + LYRIC_TOKENS + 1


@pytest.mark.parametrize("shape", [(1, 749, 8), (1, 750, 7), (750, 8), (0, 750, 8), (1, 8, 750)])
def test_references_of_another_shape_are_refused(conditioner, shape):
    with pytest.raises(InvalidInputError, match=r"\[count, 750, 8\]"):
        conditioner.encode(BRIEF, TEXT2MUSIC, torch.ones(shape))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_references_with_no_numbers_are_refused(conditioner, bad):
    sounds = references(1)
    sounds[0, 3, 3] = bad

    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        conditioner.encode(BRIEF, TEXT2MUSIC, sounds)


def test_the_cases_cover_every_kind_of_prompt():
    assert {task_of(*case).name for case in ALL_CASES} == {
        *("text2music", "cover", "repaint", "extract", "lego", "complete")
    }


# ------------------------------------------------------------------------------------------ where the words are
def test_the_words_are_where_the_official_code_finds_them(conditioner):
    told = json.loads((GOLDEN / "tools" / "lyrics.json").read_text())["span"]
    condition, _ = conditioner.encode(Brief("slow piano", told["lyrics"], language="en"), TEXT2MUSIC)
    assert condition.lyrics.start == told["start"]
    assert len(condition.lyrics.pieces) == told["end"] - told["start"]
    assert b"".join(condition.lyrics.pieces).decode() == told["lyrics"]


def test_a_token_that_joins_the_heading_and_the_words_counts_as_words(conditioner):
    plain, _ = conditioner.encode(Brief("slow piano", "la la"), TEXT2MUSIC)
    joined, _ = conditioner.encode(Brief("slow piano", "\nla la"), TEXT2MUSIC)
    assert joined.lyrics.start == plain.lyrics.start - 1
    assert joined.lyrics.pieces[0] == b"\n\n"
    assert b"".join(joined.lyrics.pieces[1:]) == b"la la"


def test_words_that_were_cut_end_where_the_sequence_ends(conditioner):
    condition, _ = conditioner.encode(Brief("slow piano", "la " * 4_000), TEXT2MUSIC)
    assert condition.lyrics.start + len(condition.lyrics.pieces) == LYRIC_TOKENS - 1


def test_no_words_are_no_tokens(conditioner):
    condition, _ = conditioner.encode(Brief("slow piano"), TEXT2MUSIC)
    assert condition.lyrics.pieces == ()
