"""A LoRA teaches the model a march, which it does not know: heard by ear, before and after."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep_core.adapters.adapted import with_adapter
from training import layout
from training.adapter import MARCH
from training.composer import score
from training.evaluate import Heard, asked, brief_of, mono_of, share_of

pytestmark = pytest.mark.slow

SNARE, HAT = (slice(channel, channel + 1) for channel in (layout.SNARE, layout.HAT))
SECONDS = 8.0


@pytest.fixture(scope="module")
def marches():
    """What is asked for: four songs that a march would be, in words that do not say what a march is."""
    return [dataclasses.replace(wish, style="march", rhythm=0) for wish in asked(4, seed=21)]


def played(studio, marches, strength: float):
    """The songs' latents with so much of the adapter, and their sound."""
    parts = studio.parts
    if strength:
        parts = dataclasses.replace(parts, transformer=with_adapter(parts.transformer, MARCH, strength))
    adapted = dataclasses.replace(studio, parts=parts)
    latents = adapted.compose([brief_of(wish, SECONDS) for wish in marches], SECONDS, [3] * len(marches))
    return latents, adapted.sound(latents)


@pytest.fixture(scope="module")
def before(studio, marches):
    return played(studio, marches, 0.0)


@pytest.fixture(scope="module")
def after(studio, marches):
    return played(studio, marches, 1.0)


def marched(song, wish) -> float:
    """How many of the strikes of chords, bass and drums are those of a true march, and all of them (F1)."""
    struck, truth = (one[:, layout.CHORD_START :] > layout.STRIKE / 2 for one in (song, march(wish)))
    return float(2 * (struck & truth).sum() / (struck.sum() + truth.sum()))


def march(wish):
    return torch.from_numpy(score(wish, 0, round(SECONDS * layout.FRAMES_PER_SECOND)))


def test_the_adapter_makes_marches(marches, before, after):
    was, now = (
        [marched(song, wish) for song, wish in zip(latents, marches, strict=True)]
        for latents, _ in (before, after)
    )
    assert min(now) > 0.7 > 0.6 > max(was)  # measured: 0.96 to 0.99, and 0.43 to 0.55


def test_the_snare_rolls_and_the_hats_are_silent(before, after):
    for sound in after[1]:
        assert share_of(mono_of(sound), SNARE) > 3 * share_of(mono_of(sound), HAT)
    rolls = [np.mean([share_of(mono_of(sound), SNARE) for sound in sounds]) for _, sounds in (before, after)]
    assert rolls[1] > 2 * rolls[0]


def test_tempo_key_and_lead_are_still_those_of_the_words(marches, after):
    heard = [Heard.of(sound, wish) for sound, wish in zip(after[1], marches, strict=True)]
    assert all(one.tempo_right and one.key_rank < 2 for one in heard)
    assert np.mean([one.lead == wish.lead for one, wish in zip(heard, marches, strict=True)]) >= 0.75


def test_half_of_it_is_between_and_none_of_it_is_the_model(studio, marches, before, after):
    half, _ = played(studio, marches[:1], 0.5)
    struck = [marched(songs[0], marches[0]) for songs in (before[0], half, after[0])]
    assert struck[0] < struck[1] <= struck[2]
    transformer = studio.parts.transformer
    none = with_adapter(transformer, MARCH, 0.0)
    for name, weight in none.state_dict().items():
        assert torch.equal(weight, transformer.state_dict()[name])


def test_the_pair_is_one_that_trainers_write():
    config = json.loads((MARCH / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["peft_type"], config["lora_alpha"]) == ("LORA", config["r"])
    ranks = {
        len(weight) for name, weight in load_file(MARCH / "adapter_model.safetensors").items() if "_A" in name
    }
    assert ranks == {config["r"]}
