"""Our nodes in a real ComfyUI whose card is too small for a network, and that ComfyUI's own nodes beside us."""

import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.cards.networks import vae_weights
from benchmarks.cards.sizes import Sizes, size
from benchmarks.cards.songs import GIB, can_cap, cap, memory_of, taken
from benchmarks.core_nodes import install
from benchmarks.harness import Row, device, in_fresh_process
from support.comfyui import host as comfy_host
from support.comfyui import models, task_graphs
from support.comfyui.small_cards import SOME, Loads, card_with_room_for
from support.tiny.checkpoint import stable_audio_names
from support.tiny.shapes import Shapes, model_shapes, qwen_shapes

TRANSFORMER = "acestep_v1.5_turbo.safetensors"
PICKERS = {"model": TRANSFORMER, "text_encoder": models.TEXT_FILE, "vae": models.VAE_FILE}
SHARE = 0.6  # of the transformer that has room on the card


def partial_rows(comfyui: Path, tiny: bool) -> Iterator[Row]:
    """A song twice in one process, with all of the card and with too little of it."""
    found = in_fresh_process("cards.hosted", "songs_in_comfyui", str(comfyui.resolve()), tiny)
    for name, run in found.items():
        yield Row(f"song in ComfyUI, {name}", run["seconds"], "s", more_is_better=False, details=run)
        yield Row(f"song in ComfyUI, {name}, share of the transformer on the card", run["share"], "")


def race_rows(comfyui: Path, tiny: bool) -> Iterator[Row]:
    """What `make bench BENCH=core` measures with that ComfyUI."""
    os.environ[install.NAMED] = str(comfyui.resolve())
    install.found()
    for row in in_fresh_process("bench_core", "told", tiny):
        yield Row(**row)


def songs_in_comfyui(comfyui: str, tiny: bool) -> dict[str, dict[str, float]]:
    """In this process: start that ComfyUI with our pack, and play."""
    sizes = size(tiny)
    with tempfile.TemporaryDirectory() as folder:
        base = models.make_base(Path(folder), comfy_host.PACK)
        write_split(sizes, base / "models")
        host = comfy_host.start(Path(comfyui), base, cpu=device() == "cpu")
        try:
            comfy_host.load_pack(host)
            return {
                "whole": played(host, sizes, nullcontext()),
                "in part": played(host, sizes, little_room(sizes)),
            }
        finally:
            host.close()


def played(host: comfy_host.Host, sizes: Sizes, room: AbstractContextManager[Any]) -> dict[str, float]:
    """One song: its seconds, how much of the transformer was on the card, GiB taken."""
    run, graph = comfy_host.Runner(host), host.graph()
    task_graphs.text2music(graph, PICKERS, seconds=sizes.budget_seconds)
    manager = host.module("comfy.model_management")
    loads, load = Loads(), manager.load_models_gpu

    def noted(patchers: Any, *given: Any, **more: Any) -> None:
        load(patchers, *given, **more)
        for patcher in patchers:
            loads.note(patcher, 0)

    with room:
        load = manager.load_models_gpu
        manager.load_models_gpu = noted
        try:
            began = time.perf_counter()
            done = run(graph)
        finally:
            manager.load_models_gpu = load
    if not done.success:
        raise RuntimeError(done.error or done.refused)
    return {
        "seconds": time.perf_counter() - began,
        "share": loads.shares["DiffusionTransformer"][-1],
        "gib": taken() / GIB,
    }


def little_room(sizes: Sizes) -> AbstractContextManager[Any]:
    """A card that has room for a part of the transformer: capped by torch, and told to ComfyUI as reserved."""
    if memory_of() is None:
        return card_with_room_for(SOME)
    return SmallCard(sizes)


class SmallCard:
    """Less of a real card than the transformer takes."""

    def __init__(self, sizes: Sizes) -> None:
        shapes = transformer_shapes(sizes)
        self._most = int(SHARE * 2 * sum(map(math.prod, shapes.values()))) + GIB

    def __enter__(self) -> None:
        import comfy.model_management as mm

        mm.unload_all_models()
        mm.soft_empty_cache()
        self._before = mm.EXTRA_RESERVED_VRAM
        mm.EXTRA_RESERVED_VRAM = mm.get_total_memory(mm.get_torch_device()) - self._most
        if can_cap():
            cap(self._most + GIB)  # what ComfyUI does not count

    def __exit__(self, *_: object) -> None:
        import comfy.model_management as mm

        mm.EXTRA_RESERVED_VRAM = self._before


def transformer_shapes(sizes: Sizes) -> Shapes:
    """What ComfyUI calls a diffusion model."""
    return model_shapes({**asdict(sizes.config), "fsq_input_levels": list(sizes.config.fsq_input_levels)})


def write_split(sizes: Sizes, folder: Path) -> None:
    """ComfyUI's three files with random weights."""
    text = {f"model.{name}": shape for name, shape in qwen_shapes(asdict(sizes.text)).items()}
    files: dict[str, Mapping[str, Tensor]] = {
        f"diffusion_models/{TRANSFORMER}": random_weights(transformer_shapes(sizes), sizes.dtype),
        f"text_encoders/{models.TEXT_FILE}": random_weights(text, sizes.dtype),
        f"vae/{models.VAE_FILE}": stable_audio_names(vae_weights(sizes.vae)),
    }
    for name, weights in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_file({key: weight.contiguous() for key, weight in weights.items()}, folder / name)


def random_weights(shapes: Shapes, dtype: torch.dtype) -> dict[str, Tensor]:
    """Matrices by fan-in, norms of one, everything else small."""
    found = {}
    for name, shape in shapes.items():
        if name.endswith("norm.weight"):
            weight = torch.ones(shape)
        else:
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
            weight = torch.randn(shape, device=device()).mul_(fan_in**-0.5)
        found[name] = weight.to("cpu", dtype)
    return found
