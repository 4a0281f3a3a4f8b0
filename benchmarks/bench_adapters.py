"""What an adapter costs at full size under ComfyUI, against ComfyUI's own way of patching the same weights.

Needs what `make host` fetches. Both sides patch one and the same network, in turns.
"""

import gc
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.full_size import filled
from benchmarks.harness import DTYPES, Row, race, seconds_of, usual
from support.comfyui import fetch
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from support.tiny.adapters import ATTENTION, MLP, modules
from support.tiny.shapes import FULL_SIZE

RANK, ALPHA = 64, 128.0
TARGETS = {"q k v o": ATTENTION, "q k v o and MLP": (*ATTENTION, *MLP)}
EQUAL = 2e-2  # between bf16 weights that were rounded once or twice, relative
FRAMES, ROUNDS = 750, 5
PREFIX = "diffusion_model.decoder."
MB = 1 << 20


@dataclass
class Bench:
    """The pack in a running ComfyUI, and a transformer of the published size in it."""

    pack: Any
    managed: Any

    def core(self, name: str) -> Any:
        """A core module of the pack."""
        return import_module(f"{self.pack.__name__}.acestep_core.{name}")

    def ours(self, path: Path) -> Any:
        """Read the file and fit it: changes by strength."""
        files, part = (
            self.core("adapters.adapter_file"),
            self.core("adapters.keys").Part.TRANSFORMER,
        )
        shapes = {name: tuple(weight.shape) for name, weight in self.managed.network.state_dict().items()}
        return partial(files.AdapterFile.open(path).fit({part: shapes}).by_strength, part)

    def stock(self, path: Path) -> Any:
        """Read the file as ComfyUI does: its patches."""
        comfy_utils, comfy_lora = import_module("comfy.utils"), import_module("comfy.lora")
        names = {
            f"{PREFIX}{name.removesuffix('.weight')}": name
            for name in self.managed.network.state_dict()
            if name.endswith("_proj.weight")
        }
        return comfy_lora.load_lora(
            comfy_utils.load_torch_file(str(path), safe_load=True), names, log_missing=False
        )

    def load_ours(self, groups: Any, strength: float) -> None:
        """Bring the network in with our changes."""
        self.managed.adapted(groups(strength)).loaded(MB)

    def load_stock(self, patches: Any, strength: float) -> None:
        """Bring the network in with ComfyUI's patches."""
        patcher = self.managed.patcher.clone()
        assert len(patcher.add_patches(patches, strength)) == len(patches)
        import_module("comfy.model_management").load_models_gpu([patcher], memory_required=MB)

    def back(self) -> None:
        """Bring the network in without any."""
        self.managed.loaded(MB)


def run(quick: bool) -> list[Row]:
    """First load, another strength, and sampling, after a look at whether both give the same weights."""
    rows = []
    with bench() as made, tempfile.TemporaryDirectory() as folder:
        for what, targets in list(TARGETS.items())[: 1 if quick else None]:
            path = written(Path(folder) / f"{len(targets)}.safetensors", made.managed.network, targets)
            assert_equal(made, path)
            rows += patching(made, path, f"LoRA of rank {RANK} on {what}, 2B in {usual()}", quick)
        rows.append(sampling(made, path, quick))
    return rows


@contextmanager
def bench() -> Iterator[Bench]:
    """ComfyUI in this process, with the pack, and a transformer with random weights."""
    with tempfile.TemporaryDirectory() as folder:
        base = comfy_models.make_base(Path(folder), comfy_host.PACK)
        host = comfy_host.start(fetch.comfyui_dir(), base)
        pack = comfy_host.load_pack(host)
        made = Bench(pack, None)
        config = made.core("networks.config").ModelConfig.from_json(FULL_SIZE)
        runtime, transformer = pack.nodes.host.runtime, made.core("networks.dit").DiffusionTransformer
        network = filled(lambda: transformer(config, runtime.OPS), DTYPES[usual()])
        made.managed = runtime.Managed(network, runtime.Role.TRANSFORMER, DTYPES[usual()])
        yield made
        import_module("comfy.model_management").unload_all_models()
        host.close()


def written(path: Path, network: nn.Module, targets: tuple[str, ...]) -> Path:
    """A LoRA as ai-toolkit spells it, with an alpha."""
    generator, tensors = torch.Generator().manual_seed(0), {}
    for module in modules(FULL_SIZE["num_hidden_layers"], targets):
        rows, columns = network.get_submodule(module).weight.shape
        down, up = (torch.randn(s, generator=generator) * 0.01 for s in ((RANK, columns), (rows, RANK)))
        tensors |= {
            f"{PREFIX}{module}.lora_A.weight": down.bfloat16(),
            f"{PREFIX}{module}.lora_B.weight": up.bfloat16(),
        }
        tensors[f"{PREFIX}{module}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, path)
    return path


def assert_equal(made: Bench, path: Path) -> None:
    """Both give the same weights, and both take them back."""
    name = "layers.0.self_attn.q_proj.weight"
    before = made.managed.network.get_parameter(name).clone()
    made.load_ours(made.ours(path), 0.8)
    ours = made.managed.network.get_parameter(name).clone()
    made.load_stock(made.stock(path), 0.8)
    theirs = made.managed.network.get_parameter(name).clone()
    made.back()
    apart = ((ours - theirs).float().norm() / (theirs - before).float().norm()).item()
    assert apart <= EQUAL, f"the changes are {apart:.1e} apart, {EQUAL:.1e} is allowed"
    assert torch.equal(made.managed.network.get_parameter(name), before)


def patching(made: Bench, path: Path, what: str, quick: bool) -> list[Row]:
    """Times as fast as ComfyUI's own patching."""

    def first(read: Any, load: Any) -> None:
        load(read(path), 0.8)
        made.back()

    kept, patches = made.ours(path), made.stock(path)
    once = race(partial(first, made.ours, made.load_ours), partial(first, made.stock, made.load_stock), quick)
    again = race(partial(made.load_ours, kept, 0.6), partial(made.load_stock, patches, 0.6), quick)
    made.back()
    gc.collect()
    return [
        Row.of_race(f"{what}: from the file into the network and out again, against ComfyUI's", once, 1.0),
        Row.of_race(f"{what}: another strength, against ComfyUI's", again, 1.0),
    ]


def sampling(made: Bench, path: Path, quick: bool) -> Row:
    """A step with the adapter, as a share of the speed of one without it."""
    network, groups = made.managed.network, made.ours(path)
    sizes = (1, FRAMES, 64), (1, FRAMES, 128), (200, FULL_SIZE["hidden_size"])
    noise, context, words = (torch.randn(size).to(DTYPES[usual()]) for size in sizes)

    @torch.inference_mode()
    def step() -> None:
        modulation = network.modulations(torch.ones(1).to(noise))[0]
        attended = made.core("networks.dit").CrossAttended(network.key_values([words]))
        network(noise, context, modulation, attended, network.positions(FRAMES, noise))

    ratios = []
    for _ in range(1 if quick else ROUNDS):
        made.back()
        plain = min(seconds_of(step) for _ in range(3))
        made.load_ours(groups, 0.8)
        ratios.append(plain / min(seconds_of(step) for _ in range(3)))
    made.back()
    name = f"a step of {FRAMES // 25} s with an adapter, against one without"
    return Row(name, statistics.median(ratios), gate=0.95, details={"ratios": ratios})
