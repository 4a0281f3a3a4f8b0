"""Words to sound: a whole text2music run at full size against diffusers' pipeline, same weights and noise, in bf16 where the device has it."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from acestep_core.checkpoints.load import text_encoder_of
from acestep_core.networks.oobleck import Oobleck
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.networks.tiling import decode_tiled
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.run import SamplerParts, generate
from acestep_core.sampling.settings import Settings
from acestep_core.silence import Silence
from acestep_core.sound.levels import PEAK
from acestep_core.text.conditions import Condition, Conditioner
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TEXT2MUSIC
from acestep_core.text.tokenizer import TextTokenizer
from acestep_core.timebase import frames_of
from benchmarks.full_size import TURBO, condition_encoders, distance, transformers
from benchmarks.harness import DTYPES, Row, device, race, usual
from support.reference.vae import FULL, oobleck_of, randomise, reference
from support.tiny.shapes import FULL_QWEN
from support.tiny.tokenizer import tokenizer_json

ITEMS = ((10.0, 3.0, 4.0), (30.0, 2.5, 3.3))  # seconds, gate, goal
EQUAL = 0.1  # of latents after eight bf16 steps; the tests compare whole runs in fp32 to 5e-4
TILE = 128
SEED = 1
BRIEF = Brief(
    "upbeat synthpop with bright vocals and driving bass",
    "[Verse 1]\nSoft notes in the morning light\n[Chorus]\nMusic fills the air tonight\n" * 8,
    bpm=120,
    key="C major",
    time_signature="4",
)


class Chain(NamedTuple):
    """Ours, from words to sound."""

    conditioner: Conditioner
    sampler: SamplerParts
    vae: Oobleck

    def condition(self, seconds: float) -> Condition:
        """The words, encoded."""
        brief = Brief(BRIEF.caption, BRIEF.lyrics, "en", BRIEF.bpm, BRIEF.key, BRIEF.time_signature, seconds)
        return self.conditioner.encode(brief, TEXT2MUSIC, device=device())[0]

    def played(self, condition: Condition, seconds: float) -> Tensor:
        """The song before it is decoded."""
        source = self.sampler.silence.frames(frames_of(seconds))
        settings = Settings(steps=8, shift=3.0).resolved(turbo=True)
        return generate(self.sampler, Job([condition], source, NoisePlan((SEED,))), settings)

    def decoded(self, latents: Tensor) -> Tensor:
        """The finished sound."""
        return PEAK.apply(decode_tiled(self.vae, latents, TILE))

    @torch.inference_mode()
    def latents(self, seconds: float) -> Tensor:
        """From words to what is decoded."""
        return self.played(self.condition(seconds), seconds)

    @torch.inference_mode()
    def song(self, seconds: float) -> Tensor:
        """From words to sound."""
        return self.decoded(self.latents(seconds))


def run(quick: bool) -> list[Row]:
    """Ten and thirty seconds, after a look at whether both play the same song."""
    pipeline, ours = chains(DTYPES[usual()])
    seconds = ITEMS[0][0]
    apart = distance(ours.latents(seconds), their_song(pipeline, seconds, "latent"))
    assert apart <= EQUAL, f"the songs are {apart:.1e} apart, {EQUAL:.1e} is allowed"
    return [
        Row.of_race(
            f"text2music from words to sound, {seconds:g} s, {usual()}",
            race(partial(ours.song, seconds), partial(their_song, pipeline, seconds, "pt"), quick),
            gate,
            goal,
            difference=apart,
        )
        for seconds, gate, goal in (ITEMS[:1] if quick else ITEMS)
    ]


def their_song(pipeline: Any, seconds: float, kind: str) -> Tensor:
    """The pipeline's answer."""
    return pipeline(
        prompt=BRIEF.caption,
        lyrics=BRIEF.lyrics,
        bpm=BRIEF.bpm,
        keyscale=BRIEF.key,
        timesignature=BRIEF.time_signature,
        audio_duration=seconds,
        num_inference_steps=8,
        shift=3.0,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(SEED),
        output_type=kind,
    ).audios


def chains(dtype: torch.dtype) -> tuple[Any, Chain]:
    """Their pipeline and our chain on the same weights."""
    from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    transformer, our_transformer = transformers(TURBO, dtype)
    encoder, our_encoder = condition_encoders(TURBO, dtype)
    text = Qwen3Model(Qwen3Config(**FULL_QWEN)).to(device(), dtype).train(False).requires_grad_(False)
    vae = randomise(reference(FULL))
    our_vae = oobleck_of(vae.state_dict(), FULL, dtype).to(device())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(tokenizer_json(), encoding="utf-8")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), pad_token="<|endoftext|>")
        our_tokenizer = TextTokenizer.from_folder(Path(folder))
    small = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    pipeline = AceStepPipeline(
        vae=vae.to(device(), dtype),
        text_encoder=text,
        tokenizer=tokenizer,
        transformer=transformer,
        condition_encoder=encoder,
        audio_tokenizer=AceStepAudioTokenizer(**small, fsq_dim=64),  # text2music uses neither
        audio_token_detokenizer=AceStepAudioTokenDetokenizer(**small),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipeline.set_progress_bar_config(disable=True)
    silence = Silence(encoder.silence_latent.float())
    our_text = text_encoder_of(text.state_dict(), Qwen3Sizes(**FULL_QWEN), nn)
    sampler = SamplerParts(our_transformer, silence, dtype, torch.device(device()))
    return pipeline, Chain(Conditioner(our_tokenizer, our_text, our_encoder, silence), sampler, our_vae)
