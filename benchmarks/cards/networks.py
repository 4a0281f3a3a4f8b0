"""Our networks with random weights, on the card or on the CPU; nothing that is only tested against is needed for them."""

import tempfile
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from acestep_core.checkpoints.load import text_encoder_of
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import VaeConfig
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer, Modulation
from acestep_core.networks.oobleck import Oobleck
from acestep_core.networks.recorded import Shown
from acestep_core.sampling.run import SamplerParts
from acestep_core.silence import Silence
from acestep_core.text.conditions import Conditioner
from acestep_core.text.tokenizer import TextTokenizer
from acestep_core.timebase import frames_of
from benchmarks.bench_song import Chain
from benchmarks.cards.sizes import Sizes
from benchmarks.full_size import filled
from benchmarks.harness import device
from support.reference.vae import gain, oobleck_of
from support.tiny.shapes import qwen_shapes, vae_shapes
from support.tiny.tokenizer import tokenizer_json

MOMENT = 0.5  # bf16 has 1000 times it as well
SILENT_FRAMES = 15_000


def transformer(
    sizes: Sizes, dtype: torch.dtype, layers: int | None = None, where: str | None = None
) -> DiffusionTransformer:
    """All layers, or the first of them."""
    config = sizes.config
    if layers is not None:
        config = replace(config, num_hidden_layers=layers, layer_types=config.layer_types[:layers])
    return filled(lambda: DiffusionTransformer(config, nn), dtype, where=where)


def vae(sizes: Sizes, dtype: torch.dtype, where: str | None = None) -> Oobleck:
    """With the weights below."""
    return oobleck_of(vae_weights(sizes.vae), sizes.vae, dtype).to(where or device())


def vae_weights(config: VaeConfig) -> dict[str, Tensor]:
    """As a file has them, of lengths that keep a signal about as loud as it is."""
    generator = torch.Generator().manual_seed(5)
    raw = {}
    for name, shape in vae_shapes(asdict(config)).items():
        noise = torch.randn(shape, generator=generator)
        raw[name] = gain(name) * (1 + 0.1 * noise) if name.endswith("weight_g") else 0.2 * noise
    return raw


def chain(sizes: Sizes, where: str | None = None) -> Chain:
    """Everything from words to sound. where: its networks wait there; None: on the card."""
    place = where or device()
    text = {
        name: torch.randn(shape, device=place).mul_(0.02).to(sizes.dtype)
        for name, shape in qwen_shapes(asdict(sizes.text)).items()
    }
    encoder = filled(lambda: ConditionEncoder(sizes.config, nn), sizes.dtype, seed=1, where=place)
    silence = Silence(torch.randn(1, SILENT_FRAMES, sizes.config.audio_acoustic_hidden_dim).mul_(0.5))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
        tokenizer = TextTokenizer.from_folder(Path(folder))
    sampled = SamplerParts(
        transformer(sizes, sizes.dtype, where=place), silence, sizes.dtype, torch.device(device())
    )
    words = text_encoder_of(text, sizes.text, nn)
    return Chain(Conditioner(tokenizer, words, encoder, silence), sampled, vae(sizes, sizes.dtype, place))


class Question:
    """One evaluation as a run asks it: of latents at a moment, with what is shown."""

    def __init__(self, network: DiffusionTransformer, sizes: Sizes, seconds: float, guided: bool) -> None:
        like, frames = network.scale_shift_table, frames_of(seconds)
        latent = sizes.config.audio_acoustic_hidden_dim
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return (
                torch.randn(shape, generator=generator).bfloat16().to(like)
            )  # the same numbers in every dtype

        self.x, context = random(1, frames, latent), random(1, frames, 2 * latent)
        self.sequence = random(sizes.tokens, network.null_condition_emb.shape[-1])
        null = network.null_outputs(context) if guided else None
        attended = CrossAttended(network.key_values([self.sequence]), null)
        self.shown = Shown(context, attended, network.positions(frames, context))
        self.modulation: Modulation = network.modulations(torch.tensor([MOMENT]).to(like))[0]


def on_card(network: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """The same weights once more, on the card."""
    return deepcopy(network).to(device(), dtype)
