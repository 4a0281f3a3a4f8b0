"""The reference pipeline (diffusers, tests only) and our whole chain on one tiny checkpoint, from words and sound to sound."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import (
    load_codec,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
)
from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.oobleck import Oobleck
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.repaint import RepaintStrength
from acestep_core.sampling.run import SamplerParts, generate
from acestep_core.sampling.settings import Settings
from acestep_core.text.conditions import Conditioner
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS

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

    conditioner: Conditioner
    sampler: SamplerParts
    codec: AudioCodec
    vae: Oobleck


def sound(seconds: float, seed: int) -> Tensor:
    """Four tones and some noise, [2, S]."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * 48_000)) / 48_000
    tones = 110 * 2 ** (3 * torch.rand(4, generator=generator))
    wave = torch.sin(2 * torch.pi * tones[:, None] * time).sum(0) / 8
    return torch.stack((wave, 0.7 * wave.roll(37))) + 0.05 * torch.randn(2, len(time), generator=generator)


def our_chain(folder: Path, variant: str) -> Ours:
    """Our networks, from a diffusers folder."""
    checkpoint = open_checkpoint(folder, variant)
    silence = load_silence(checkpoint)
    conditioner = Conditioner(
        load_tokenizer(checkpoint), load_text_encoder(checkpoint), load_condition_encoder(checkpoint), silence
    )
    sampler = SamplerParts(load_transformer(checkpoint), silence)
    return Ours(conditioner, sampler, load_codec(checkpoint), load_vae(checkpoint))


def their_pipeline(folder: Path, turbo: bool) -> Any:
    """The reference pipeline; its VAE class ties the latent width to the encoder's first width, so one layer is changed."""
    import diffusers
    from diffusers.pipelines import ace_step
    from transformers import PreTrainedTokenizerFast, Qwen3Model

    vae = diffusers.AutoencoderOobleck.from_config(diffusers.AutoencoderOobleck.load_config(folder / "vae"))
    weights = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    out, width, kernel = weights["encoder.conv2.weight_v"].shape
    vae.encoder.conv2 = nn.utils.weight_norm(nn.Conv1d(width, out, kernel, padding=1))
    vae.load_state_dict(weights)
    pipeline = diffusers.AceStepPipeline(
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
    pipeline.set_progress_bar_config(disable=True)
    pipeline.is_turbo = turbo  # it believes the field model_version, which says turbo everywhere
    return pipeline


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
    condition, _ = ours.conditioner.encode(brief, TASKS[task], references)
    settings = Settings(
        steps=8 if turbo else 5, shift=3.0, guidance=1.0 if turbo else 7.0, repaint=RepaintStrength(1.0)
    )
    known = turbo and not TASKS[task].base_only  # theirs plays every task on turbo too
    job = Job([condition], source, NoisePlan((SEED,)), mask)
    return generate(ours.sampler, job, settings.resolved(turbo=known))


def encoded(ours: Ours, audio: Tensor) -> Tensor:
    return ours.vae.encode(audio[None]).mean
