"""How far ours is from each oracle: the largest difference anywhere, in fp32. Smaller is better; 0 for codes is exact."""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_core.text.prompts import Brief
from acestep_core.timebase import FrameSpan
from benchmarks.harness import Row
from support.reference.golden import golden, golden_case, golden_codec, golden_silence, golden_transformer
from support.reference.oracle import (
    CONFIGS,
    codecs_of,
    condition_encoders_of,
    evaluate,
    furthest,
    transformers_of,
)
from support.reference.pipeline import (
    BRIEF,
    Ours,
    encoded,
    our_chain,
    our_latents,
    sound,
    their_latents,
    their_pipeline,
)
from support.reference.vae import latents, vaes
from support.reference.vae import sound as noise
from support.tiny.checkpoint import build

MODULE, RUN = 5e-5, 5e-4
Found = Iterator[tuple[str, float, float]]  # what was compared, the difference, the tolerance
# brief, source and mask, and the pipeline's words for these
Case = tuple[Brief, Tensor, Tensor | None, dict[str, Any]]


@torch.no_grad()
def run(quick: bool) -> list[Row]:
    """Every stage, then whole runs."""
    warnings.simplefilter("ignore")
    stages: list[Callable[[], Found]] = [networks, codes, vae, recorded]
    rows = [row for stage in (stages if quick else [*stages, whole_runs]) for row in stage()]
    return [
        Row(f"difference: {item}", found, unit="", gate=tolerance, more_is_better=False)
        for item, found, tolerance in rows
    ]


def given(*sizes: tuple[int, ...]) -> list[Tensor]:
    """Random tensors, the same on every run."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) for size in sizes]


def networks() -> Found:
    """Transformer and condition encoder against diffusers."""
    for name, config in CONFIGS.items():
        theirs, ours = transformers_of(name)
        width = config.encoder_hidden_size
        x, context, enc = given((2, 121, 8), (2, 121, 16), (2, 40, width))
        times = torch.full((2,), 0.7)
        expected = theirs(x, times, times, enc, context, return_dict=False)[0]
        yield (
            f"transformer, {name}, diffusers",
            furthest(evaluate(ours, x, context, enc, 0.7), expected),
            MODULE,
        )

        theirs, encoder = condition_encoders_of(name)
        text, lyrics, timbre = given((1, 9, 24), (1, 31, 24), (3, 40, 8))
        seen = [torch.ones(1, n, dtype=torch.bool) for n in (9, 31)]
        expected, _ = theirs(text, seen[0], lyrics, seen[1], timbre, torch.zeros(3, dtype=torch.long))
        yield (
            f"condition encoder, {name}, diffusers",
            furthest(encoder(text, lyrics, timbre), expected),
            MODULE,
        )


def codes() -> Found:
    """Semantic tokenizer and detokenizer against diffusers: wrong codes, then the distance of the hints."""
    tokenizer, detokenizer, ours = codecs_of("2B-like")
    x, silence = given((2, 203, 8), (1, 10, 8))
    quantized, indices = tokenizer.tokenize(x, silence)
    found = ours.encode(x, silence)
    yield "semantic codes that differ, diffusers", float((found != indices.squeeze(-1)).sum()), 0.0
    yield (
        "hints of codes, diffusers",
        furthest(ours.hints(found, torch.float32), detokenizer(quantized)),
        MODULE,
    )


def vae() -> Found:
    """Oobleck against diffusers."""
    theirs, ours = vaes()
    z, audio = latents(40), noise(40 * 1920 + 777)
    yield "VAE decode, diffusers", furthest(ours.decode(z), theirs.decode(z.mT).sample), MODULE
    mean = theirs.encode(audio).latent_dist.mean.mT
    yield "VAE encode, diffusers", furthest(ours.encode(audio).mean, mean), MODULE


def recorded() -> Found:
    """Recorded tensors of the reference model, made on another machine; relative to their peak."""
    worst = 0.0
    for case in sorted({key.split("/")[1] for key in golden("modules") if key.startswith("dit/")}):
        data = golden_case("modules", f"dit/{case}")
        out = evaluate(
            golden_transformer(),
            data["in_x"],
            data["in_context"],
            data["in_enc"],
            data["in_t"][0],
            data["in_r"][0],
        )
        worst = max(worst, furthest(out, data["out"]) / max(1.0, data["out"].abs().max().item()))
    yield "transformer, recorded, of the peak", worst, MODULE
    wrong = 0.0
    for case in ("exact", "ragged", "single"):
        data = golden_case("modules", f"codec/{case}")
        wrong += float(
            (golden_codec().encode(data["in_x"], golden_silence()) != data["out_indices"].squeeze(-1)).sum()
        )
    yield "semantic codes that differ, recorded", wrong, 0.0


def cases_of(ours: Ours, audio: Tensor) -> Mapping[str, Case]:
    """What is asked of both in each task, four seconds long."""
    brief = replace(BRIEF, duration=4.0)
    heard, quiet = encoded(ours, audio), ours.sampler.silence.frames(100)
    span = {"repainting_start": 1.0, "repainting_end": 2.5}
    mask = FrameSpan.from_seconds(1.0, 2.5, 100).mask(100)[None]
    hints = ours.codec.hints(ours.codec.encode(heard, quiet), torch.float32)
    return {
        "text2music": (brief, quiet, None, {}),
        "cover": (brief, hints, None, {"src_audio": audio}),
        "repaint": (brief, heard, mask, {"src_audio": audio, **span}),
        "extract": (
            replace(brief, tracks=("vocals",)),
            heard,
            None,
            {"src_audio": audio, "track_name": "vocals"},
        ),
        "lego": (
            replace(brief, tracks=("drums",)),
            heard,
            None,
            {"src_audio": audio, "track_name": "drums"},
        ),
        "complete": (
            replace(brief, tracks=("drums", "bass")),
            heard,
            None,
            {"src_audio": audio, "complete_track_classes": ["drums", "bass"]},
        ),
    }


def whole_runs() -> Found:
    """From words and sound to latents beside the diffusers pipeline, turbo and base with APG."""
    from diffusers.models.autoencoders.autoencoder_oobleck import (
        OobleckDiagonalGaussianDistribution as Posterior,
    )

    Posterior.sample = lambda self, *_, **__: self.mean
    for variant in ("turbo", "base"):
        turbo = variant == "turbo"
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder), variant=variant)
            theirs, ours = (
                their_pipeline(Path(folder, "diffusers"), turbo),
                our_chain(Path(folder, "diffusers"), variant),
            )
        audio = sound(4.0, 7)
        for task, (words, source, where, more) in cases_of(ours, audio).items():
            expected = their_latents(theirs, turbo, words, task_type=task, audio_duration=4.0, **more)
            out = our_latents(ours, turbo, words, task, source, where)
            yield f"whole run, {task}, {variant}, diffusers pipeline", furthest(out, expected), RUN
