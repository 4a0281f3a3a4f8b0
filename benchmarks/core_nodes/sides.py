"""Both sides of the race on the same weights."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acestep_core.checkpoints.load import text_encoder_of
from acestep_core.checkpoints.weights import load_exactly
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.dit import DiffusionTransformer
from acestep_core.planner.network import PlannerNetwork
from acestep_core.sampling.run import SamplerParts
from acestep_core.silence import Silence
from acestep_core.text.conditions import Conditioner
from acestep_core.text.tokenizer import TextTokenizer
from benchmarks.bench_song import Chain
from benchmarks.cards.hosted import random_weights
from benchmarks.cards.networks import vae_weights
from benchmarks.cards.sizes import REAL, Sizes
from benchmarks.core_nodes.theirs import Theirs
from benchmarks.harness import DTYPES, device, usual
from support.comfyui import host as comfy_host
from support.comfyui import models
from support.reference.vae import oobleck_of
from support.tiny.shapes import model_shapes, qwen_shapes

TOKENIZER = Path("comfy") / "text_encoders" / "qwen25_tokenizer"
SILENT_FRAMES = 15_000
QUICK_LAYERS = 2


@dataclass(frozen=True)
class Sides:
    """Ours and theirs."""

    chain: Chain
    planner: PlannerNetwork
    theirs: Theirs


@contextmanager
def started(comfyui: Path) -> Iterator[comfy_host.Host]:
    """That ComfyUI in this process, in folders of its own."""
    with tempfile.TemporaryDirectory() as folder:
        base = models.make_base(Path(folder), comfy_host.PACK)
        host = comfy_host.start(comfyui, base, cpu=device() == "cpu")
        try:
            yield host
        finally:
            host.close()


def sizes_of(quick: bool) -> Sizes:
    """As published, for their classes take no other widths; quick: fewer layers of the transformer."""
    sizes = replace(REAL, dtype=DTYPES[usual()])
    if not quick:
        return sizes
    return replace(sizes, config=replace(REAL.config, num_hidden_layers=QUICK_LAYERS))


def built(host: comfy_host.Host, comfyui: Path, sizes: Sizes, dtype: torch.dtype) -> Sides:
    """Theirs is loaded first; ours then takes the tensors that theirs computes with."""
    raw = {**asdict(sizes.config), "fsq_input_levels": list(sizes.config.fsq_input_levels)}
    sound = vae_weights(sizes.vae)
    planned = sizes.planners["1.7B"]
    texts = [random_weights(qwen_shapes(asdict(one)), dtype) for one in (sizes.text, planned)]
    theirs = Theirs(host, random_weights(model_shapes(raw), dtype), texts, sound, dtype)
    del texts
    inside, model = theirs.clip.cond_stage_model, theirs.network.state_dict()
    text, code_text = (qwen_weights(one) for one in (inside.qwen3_06b, theirs.planner))
    silence = Silence(theirs.silence(SILENT_FRAMES))
    conditioner = Conditioner(
        TextTokenizer.from_comfyui(comfyui / TOKENIZER),
        text_encoder_of(text, sizes.text, nn).to(device()),
        on_card(lambda: ConditionEncoder(sizes.config, nn), beginning(model, "encoder.")),
        silence,
    )
    decoder = {**beginning(model, "decoder."), "null_condition_emb": model["null_condition_emb"]}
    transformer = on_card(lambda: DiffusionTransformer(sizes.config, nn), decoder)
    parts = SamplerParts(transformer, silence, dtype, torch.device(device()))
    planner = on_card(lambda: PlannerNetwork(planned, nn), code_text)
    vae = oobleck_of(sound, sizes.vae, dtype).to(device())
    return Sides(Chain(conditioner, parts, vae), planner, theirs)


def on_card(make: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> Any:
    """A network of ours; newer versions of theirs may keep weights elsewhere than where they compute."""
    return load_exactly(make, weights).to(device())


def beginning(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose keys begin so, without that beginning."""
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def qwen_weights(theirs: Any) -> dict[str, Tensor]:
    """A language model of theirs, keys as in its folder."""
    return beginning(theirs.transformer.state_dict(), "model.")
