"""Adapters of every kind that are damaged in their weights, in their headers, or in the json beside them."""

import json
import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tools.hostile import mutations
from tools.hostile.kit import Kit

WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"
ROWS, COLUMNS, RANK, BLOCK = 64, 48, 4, 8  # of q_proj of the tiny transformer
MODULES = {
    "peft": "base_model.model.layers.{}.self_attn.q_proj",
    "comfy": "diffusion_model.decoder.layers.{}.self_attn.q_proj",
    "flat": "lycoris_layers_{}_self_attn_q_proj",
}
HEADER = {
    "lora_adapter_metadata": json.dumps({"transformer.r": RANK, "transformer.lora_alpha": 3}),
    "hot_step_trigger": "my song",
    "hot_step_trigger_position": "front",
    "ss_base_model_version": "turbo",
}
CONFIG = {
    "r": RANK,
    "lora_alpha": 3,
    "alpha": 3,
    "use_rslora": False,
    "rank_pattern": {"q_proj": RANK},
    "alpha_pattern": {r"layers\.\d+\.self_attn\..*": 5},
    "use_cayley_neumann": True,
    "num_cayley_neumann_terms": 5,
    "base_model_name_or_path": "turbo",
}
Shapes = dict[str, tuple[int, ...]]
LOW_RANK: Shapes = {"lora_A.weight": (RANK, COLUMNS), "lora_B.weight": (ROWS, RANK)}
HADAMARD: Shapes = {
    f"hada_w{n}_{side}": (ROWS, RANK) if side == "a" else (RANK, COLUMNS) for n in "12" for side in "ab"
}
KRONECKER: Shapes = {
    "lokr_w1": (4, 4),
    "lokr_w2_a": (ROWS // 4, RANK),
    "lokr_w2_b": (RANK, COLUMNS // 4),
}
TURNED: Shapes = {"oft_R.weight": (COLUMNS // BLOCK, BLOCK * (BLOCK - 1) // 2)}
ROW_LENGTHS, COLUMN_LENGTHS = (ROWS, 1), (1, COLUMNS)
PEFT_KINDS: dict[str, Shapes] = {"LORA": LOW_RANK, "LOHA": HADAMARD, "LOKR": KRONECKER, "OFT": TURNED}
OTHER_KINDS: dict[str, Shapes] = {
    "lora": {**LOW_RANK, "alpha": ()},
    "dora": {**LOW_RANK, "alpha": (), "dora_scale": ROW_LENGTHS},
    "dora of columns": {**LOW_RANK, "dora_scale": COLUMN_LENGTHS},
    "loha": {**HADAMARD, "alpha": ()},
    "lokr": {**KRONECKER, "alpha": (), "dora_scale": ROW_LENGTHS},
    "lokr, whole": {"lokr_w1": (4, 4), "lokr_w2": (ROWS // 4, COLUMNS // 4), "alpha": ()},
    "glora": {
        "a1.weight": (COLUMNS, RANK),
        "a2.weight": (RANK, COLUMNS),
        "b1.weight": (ROWS, RANK),
        "b2.weight": (RANK, COLUMNS),
        "alpha": (),
    },
    "oft": {"oft_blocks": (ROWS // BLOCK, BLOCK, BLOCK), "alpha": (), "rescale": (ROWS, 1)},
    "full": {"diff": (ROWS, COLUMNS), "diff_b": (ROWS,)},
    "set": {"set_weight": (ROWS, COLUMNS)},
}
ENDLESS = ("[" * 100_000, '{"a":' * 65 + "1" + "}" * 65, "[[]," * 1_000, "9" * 5_000)
MODEST = 1e4  # numbers up to this have to give weights that are numbers


def written(place: Path) -> list[Path]:
    """A folder for each kind, with two layers each; made once."""
    if not place.is_dir():
        for number, (kind, shapes) in enumerate({**PEFT_KINDS, **OTHER_KINDS}.items()):
            folder, spelling = place / kind, "peft" if kind in PEFT_KINDS else ("comfy", "flat")[number % 2]
            write(folder, MODULES[spelling], shapes)
            if kind in PEFT_KINDS:
                (folder / SETTINGS).write_text(json.dumps({"peft_type": kind, **CONFIG}), encoding="utf-8")
    return sorted(place.iterdir())


def write(folder: Path, module: str, shapes: Shapes) -> None:
    """The weights alone; DoRA of PEFT in the second layer, a strange key beside them."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(len(shapes))
    tensors = {
        f"{module.format(layer)}.{piece}": 0.1 * torch.randn(shape, generator=generator)
        for layer in (0, 1)
        for piece, shape in shapes.items()
    }
    if "lora_B.weight" in shapes and "dora_scale" not in shapes:
        tensors[f"{module.format(1)}.lora_magnitude_vector"] = torch.rand(ROWS, generator=generator)
    tensors["nobody.knows.this"] = torch.zeros(1)
    save_file(tensors, folder / WEIGHTS, metadata=HEADER)


def header_of(data: bytes, dice: random.Random) -> bytes:
    """A safetensors file whose header says other things beside its tensors, each of them text."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    name = dice.choice(list(HEADER))
    header["__metadata__"][name] = (
        mutations.json_of(HEADER["lora_adapter_metadata"].encode(), dice).decode("utf-8", "replace")
        if name == "lora_adapter_metadata"
        else mutations.text(dice).encode("utf-8", "replace").decode()
    )
    if dice.random() < 0.1:
        header["__metadata__"]["lora_adapter_metadata"] = dice.choice(ENDLESS)
    changed = json.dumps(header).encode()
    return len(changed).to_bytes(8, "little") + changed + data[8 + length :]


def adapters(kit: Kit, dice: random.Random) -> None:
    """A damaged adapter is refused, or each weight that it gives is a number."""
    folder = dice.choice(written(kit.place / "adapters"))
    weights, settings = folder / WEIGHTS, folder / SETTINGS
    if settings.is_file() and dice.random() < 0.5:
        spoilt = kit.spoilt(settings, mutations.json_of, dice)
    else:
        spoilt = kit.spoilt(weights, dice.choice((mutations.safetensors_of, header_of)), dice)
    with spoilt:
        loaded(kit, dice.choice((folder, weights)), dice)


def loaded(kit: Kit, path: Path, dice: random.Random) -> None:
    """An adapter, reported on and put into the weights of every network, as Load LoRA does."""
    core, shapes = kit.core.adapters, {}
    for part, weights in kit.networks.items():
        shapes[part] = {name: tuple(weight.shape) for name, weight in weights.items()}
    fitted = core.adapter_file.AdapterFile.open(path).fit(shapes, dice.choice((0.0, 0.0, 8.0)))
    wires = kit.stage.pack.nodes.wires
    told = wires.adapter_report.report(wires.sockets.Applied("it", 1.0, False), fitted, [])
    assert len(told) < 3_000, "a report without end"
    for part, changes in fitted.changes.items():
        for name, change in changes.items():
            numbers = [*numbers_of(change)]
            assert all(number.isfinite().all() for number in numbers), "NaN was accepted"
            weight = core.formulas.changed(kit.networks[part][name], change, dice.choice((1.0, -1.0, 2.0)))
            assert weight.shape == kit.networks[part][name].shape
            if all(number.abs().max() <= MODEST for number in numbers if number.numel()):
                assert weight.isfinite().all(), "a weight became NaN"


def numbers_of(change: Any) -> Iterator[Tensor]:
    """Every number of a change."""
    if isinstance(change, Tensor):
        yield change.float()
    elif is_dataclass(change):
        for known in fields(change):
            yield from numbers_of(getattr(change, known.name))
    elif isinstance(change, float):
        yield torch.tensor(change)
