"""From words and sound to sound: our whole chain beside the reference pipeline, on one tiny checkpoint, live."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from oracle import furthest
from safetensors.torch import load_file
from tiny_checkpoint import build
from torch import Tensor, nn

from acestep_core.audio_codes import AudioCodec
from acestep_core.conditions import ConditionWriter
from acestep_core.context import fitted
from acestep_core.generate import Player, generate
from acestep_core.job import Job
from acestep_core.layouts import open_checkpoint
from acestep_core.levels import PEAK
from acestep_core.load import (
    load_codec,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
)
from acestep_core.noise import NoisePlan
from acestep_core.oobleck import Oobleck
from acestep_core.prompts import Brief
from acestep_core.reference_audio import timbre_excerpt
from acestep_core.repaint import RepaintStrength
from acestep_core.settings import Settings
from acestep_core.tasks import TASKS
from acestep_core.timebase import FrameSpan, frames_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm.*:FutureWarning"
)  # the reference VAE is built with it

RUN = 5e-4
CHAIN = 2e-3  # sound has a peak near 1; latents of 5e-4 pass through a decoder that magnifies them
SEED = 42
BRIEF = Brief(
    "upbeat synthpop with bright vocals",
    "[Verse 1]\nSoft notes in the morning light\n[Chorus]\nMusic fills the air tonight",
    bpm=120,
    key="C major",
    time_signature="4",
)


class Ours(NamedTuple):
    """Every part of our chain."""

    writer: ConditionWriter
    player: Player
    codec: AudioCodec
    vae: Oobleck


def sound(seconds: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * 48_000)) / 48_000
    tones = 110 * 2 ** (3 * torch.rand(4, generator=generator))
    wave = torch.sin(2 * torch.pi * tones[:, None] * time).sum(0) / 8
    return torch.stack((wave, 0.7 * wave.roll(37))) + 0.05 * torch.randn(2, len(time), generator=generator)


def our_chain(folder, variant: str) -> Ours:
    checkpoint = open_checkpoint(folder, variant)
    silence = load_silence(checkpoint)
    writer = ConditionWriter(
        load_tokenizer(checkpoint), load_text_encoder(checkpoint), load_condition_encoder(checkpoint), silence
    )
    player = Player(load_transformer(checkpoint), silence, checkpoint.model_files().variant.is_turbo)
    return Ours(writer, player, load_codec(checkpoint), load_vae(checkpoint))


def their_pipeline(folder):
    """The reference pipeline; its VAE class ties the latent width to the encoder's first width, so one layer is changed."""
    import diffusers
    from diffusers.pipelines import ace_step
    from transformers import PreTrainedTokenizerFast, Qwen3Model

    vae = diffusers.AutoencoderOobleck.from_config(diffusers.AutoencoderOobleck.load_config(folder / "vae"))
    weights = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    out, width, kernel = weights["encoder.conv2.weight_v"].shape
    vae.encoder.conv2 = nn.utils.weight_norm(nn.Conv1d(width, out, kernel, padding=1))
    vae.load_state_dict(weights)
    return diffusers.AceStepPipeline(
        vae=vae.train(False),
        text_encoder=Qwen3Model.from_pretrained(folder / "text_encoder").train(False),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer" / "tokenizer.json"), pad_token="<|endoftext|>"
        ),
        transformer=diffusers.AceStepTransformer1DModel.from_pretrained(folder / "transformer"),
        condition_encoder=ace_step.AceStepConditionEncoder.from_pretrained(folder / "condition_encoder"),
        audio_tokenizer=ace_step.AceStepAudioTokenizer.from_pretrained(folder / "audio_tokenizer"),
        audio_token_detokenizer=ace_step.AceStepAudioTokenDetokenizer.from_pretrained(
            folder / "audio_token_detokenizer"
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
    )


@pytest.fixture(scope="module", params=["turbo", "base"])
def chains(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    build(root, variant=request.param)
    theirs = their_pipeline(root / "diffusers")
    theirs.set_progress_bar_config(disable=True)
    theirs.is_turbo = (
        request.param == "turbo"
    )  # it believes the field model_version, which says turbo everywhere
    return theirs, our_chain(root / "diffusers", request.param), request.param == "turbo"


@pytest.fixture(autouse=True)
def their_vae_takes_the_mean(monkeypatch):
    from diffusers.models.autoencoders.autoencoder_oobleck import (
        OobleckDiagonalGaussianDistribution as Posterior,
    )

    monkeypatch.setattr(Posterior, "sample", lambda self, generator=None: self.mean)


def their_latents(pipeline, turbo: bool, brief: Brief, **task) -> Tensor:
    return pipeline(
        prompt=brief.caption,
        lyrics=brief.lyrics,
        vocal_language=brief.language,
        bpm=brief.bpm,
        keyscale=brief.key,
        timesignature=brief.time_signature,
        num_inference_steps=8 if turbo else 5,
        guidance_scale=1.0 if turbo else 7.0,
        shift=3.0,
        generator=torch.Generator().manual_seed(SEED),
        **{"output_type": "latent", **task},
    ).audios


def our_latents(
    ours: Ours, turbo: bool, brief: Brief, task: str, source: Tensor, mask=None, references=None
) -> Tensor:
    condition, _ = ours.writer.write(brief, TASKS[task], references)
    player = replace(
        ours.player, turbo=turbo and not TASKS[task].base_only
    )  # theirs plays every task on turbo too
    settings = Settings(
        steps=8 if turbo else 5, shift=3.0, guidance=1.0 if turbo else 7.0, repaint=RepaintStrength(1.0)
    )
    return generate(player, Job([condition], source, NoisePlan((SEED,)), mask), settings)


def encoded(ours: Ours, audio: Tensor) -> Tensor:
    return ours.vae.encode(audio[None]).mean


@pytest.mark.parametrize("seconds", [2.0, 12.04])
def test_text2music(chains, seconds):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=seconds)
    expected = their_latents(theirs, turbo, brief, audio_duration=seconds)
    out = our_latents(ours, turbo, brief, "text2music", ours.player.silence.frames(frames_of(seconds)))
    assert furthest(out, expected) < RUN


def test_text2music_to_sound(chains):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=2.0)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0, output_type="pt")
    latents = our_latents(ours, turbo, brief, "text2music", ours.player.silence.frames(50))
    out = PEAK.apply(ours.vae.decode(latents))
    assert out.abs().max().item() == pytest.approx(10 ** (-1 / 20), abs=1e-4)
    assert furthest(out, expected) < CHAIN


def test_text2music_without_metadata_and_lyrics_in_another_language(chains):
    theirs, ours, turbo = chains
    brief = Brief("slow piano", "", language="zh", duration=2.0)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0)
    assert (
        furthest(our_latents(ours, turbo, brief, "text2music", ours.player.silence.frames(50)), expected)
        < RUN
    )


def test_timbre_of_a_reference(chains):
    theirs, ours, turbo = chains
    brief = replace(BRIEF, duration=2.0)
    reference = sound(3.0, 11)
    expected = their_latents(theirs, turbo, brief, audio_duration=2.0, reference_audio=reference)
    heard = encoded(ours, timbre_excerpt(reference[None], None)[0])
    out = our_latents(ours, turbo, brief, "text2music", ours.player.silence.frames(50), references=heard)
    assert furthest(out, expected) < RUN


def test_cover(chains):
    theirs, ours, turbo = chains
    audio = sound(2.16, 5)
    brief = replace(BRIEF, duration=2.16)
    expected = their_latents(theirs, turbo, brief, task_type="cover", src_audio=audio, audio_duration=2.16)
    codes = ours.codec.encode(encoded(ours, audio), ours.player.silence.frames(5))
    hints = fitted(ours.codec.hints(codes, torch.float32), frames_of(2.16), ours.player.silence)
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
