"""From words and sound to sound: our whole chain beside the reference pipeline, on one tiny checkpoint, live."""

from dataclasses import replace

import pytest
import torch

from acestep_core.sampling.context import fitted
from acestep_core.sound.levels import PEAK
from acestep_core.sound.reference_audio import timbre_excerpt
from acestep_core.text.prompts import Brief
from acestep_core.timebase import FrameSpan, frames_of
from support.reference.oracle import furthest
from support.reference.pipeline import (
    BRIEF,
    encoded,
    our_chain,
    our_latents,
    sound,
    their_latents,
    their_pipeline,
)
from support.tiny.checkpoint import build

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm.*:FutureWarning"
)  # the reference VAE is built with it

RUN = 5e-4
CHAIN = 2e-3  # sound has a peak near 1; latents of 5e-4 pass through a decoder that magnifies them


def both_chains(root, variant, xl=False):
    """(theirs, ours, whether they are turbo)"""
    folder = build(root, variant, xl=xl) / "diffusers"
    return their_pipeline(folder, variant == "turbo"), our_chain(folder, variant), variant == "turbo"


@pytest.fixture(scope="module", params=["turbo", "base"])
def chains(request, tmp_path_factory):
    return both_chains(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module", params=["turbo", "base"])
def xl_chains(request, tmp_path_factory):
    return both_chains(tmp_path_factory.mktemp(f"xl-{request.param}"), request.param, xl=True)


@pytest.fixture(autouse=True)
def their_vae_takes_the_mean(monkeypatch):
    from diffusers.models.autoencoders.autoencoder_oobleck import (
        OobleckDiagonalGaussianDistribution as Posterior,
    )

    monkeypatch.setattr(Posterior, "sample", lambda self, generator=None: self.mean)


@pytest.mark.parametrize("seconds", [2.0, 12.04])
def test_text2music(chains, seconds):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=seconds)
    expected = their_latents(theirs, turbo, brief, audio_duration=seconds)
    out = our_latents(ours, turbo, brief, "text2music", ours.sampler.silence.frames(frames_of(seconds)))
    assert furthest(out, expected) < RUN


def test_text2music_of_an_odd_length_by_a_transformer_wider_than_its_conditions(xl_chains):
    theirs, ours, turbo = xl_chains
    brief = replace(BRIEF, duration=2.04)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.04)
    out = our_latents(ours, turbo, brief, "text2music", ours.sampler.silence.frames(51))
    assert out.shape == (1, 51, 64)
    assert furthest(out, expected) < RUN


def test_text2music_to_sound(chains):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=2.0)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0, output_type="pt")
    latents = our_latents(ours, turbo, brief, "text2music", ours.sampler.silence.frames(50))
    out = PEAK.apply(ours.vae.decode(latents))
    assert out.abs().max().item() == pytest.approx(10 ** (-1 / 20), abs=1e-4)
    assert furthest(out, expected) < CHAIN


def test_text2music_without_metadata_and_lyrics_in_another_language(chains):
    theirs, ours, turbo = chains
    brief = Brief("slow piano", "", language="zh", duration=2.0)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0)
    assert (
        furthest(our_latents(ours, turbo, brief, "text2music", ours.sampler.silence.frames(50)), expected)
        < RUN
    )


def test_timbre_of_a_reference(chains):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=2.0)
    reference = sound(3.0, 11)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0, reference_audio=reference)
    heard = encoded(ours, timbre_excerpt(reference[None], None)[0])
    out = our_latents(ours, turbo, brief, "text2music", ours.sampler.silence.frames(50), references=heard)
    assert furthest(out, expected) < RUN


def test_cover(chains):
    theirs, ours, turbo = chains
    audio = sound(2.16, 5)
    brief = replace(BRIEF, duration=2.16)
    expected = their_latents(theirs, turbo, brief, task_type="cover", src_audio=audio, audio_duration=2.16)
    codes = ours.codec.encode(encoded(ours, audio), ours.sampler.silence.frames(5))
    hints = fitted(ours.codec.hints(codes, torch.float32), frames_of(2.16), ours.sampler.silence)
    assert furthest(our_latents(ours, turbo, brief, "cover", hints), expected) < RUN


def test_repaint(chains):
    theirs, ours, turbo = chains
    audio = sound(4.0, 7)
    brief = replace(BRIEF, duration=4.0)
    expected = their_latents(
        theirs, turbo, brief, task_type="repaint", src_audio=audio, audio_duration=4.0,
        repainting_start=1.0, repainting_end=2.5,
    )  # fmt: skip
    mask = FrameSpan.from_seconds(1.0, 2.5, 100).mask(100)[None]
    assert furthest(our_latents(ours, turbo, brief, "repaint", encoded(ours, audio), mask), expected) < RUN


@pytest.mark.parametrize(
    ("task", "tracks", "theirs_too"),
    [
        ("extract", ("vocals",), {"track_name": "vocals"}),
        ("extract", (), {}),
        ("lego", ("drums",), {"track_name": "drums"}),
        (
            "lego",
            ("backing_vocals",),
            {"track_name": "backing_vocals", "repainting_start": 0.4, "repainting_end": 1.0},
        ),
        ("complete", ("drums", "bass"), {"complete_track_classes": ["drums", "bass"]}),
        ("complete", (), {}),
    ],
)
def test_stems(chains, task, tracks, theirs_too):
    theirs, ours, turbo = chains
    audio = sound(2.0, 9)
    brief = replace(BRIEF, duration=2.0, tracks=tracks)
    expected = their_latents(
        theirs, turbo, brief, task_type=task, src_audio=audio, audio_duration=2.0, **theirs_too
    )
    region = FrameSpan.from_seconds(0.4, 1.0, 50).mask(50)[None] if "repainting_start" in theirs_too else None
    assert furthest(our_latents(ours, turbo, brief, task, encoded(ours, audio), region), expected) < RUN
