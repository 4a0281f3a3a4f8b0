"""One tiny LoRA in the spelling of every program that writes adapters for ACE-Step 1.5, and files of other kinds.

write_spelling(folder, "official trainer", lora, alpha)    -> the file or folder that a user would pick
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Named = dict[str, Tensor]
Lora = Mapping[str, tuple[Tensor, Tensor]]  # official module of the transformer -> down [R, I], up [O, R]
PEFT_FILE, PEFT_JSON = "adapter_model.safetensors", "adapter_config.json"
EXAMPLE, EXAMPLE_FOLDER = "my_lora.safetensors", "my_second_lora/"
ALPHA = 3.0
ATTENTION = tuple(f"{kind}.{name}_proj" for kind in ("self_attn", "cross_attn") for name in "qkvo")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
TO_DIFFUSERS = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "o_proj": "to_out.0"}


@dataclass(frozen=True)
class Spelling:
    """How one program writes a module's two factors, and where its alpha stands: file, json, header or nowhere."""

    key: Callable[[str], str]
    down: str = "lora_A.weight"
    up: str = "lora_B.weight"
    alpha: str = "file"


def flat(prefix: str) -> Callable[[str], str]:
    """A prefix, and underscores for dots."""
    return lambda module: prefix + module.replace(".", "_")


def dotted(prefix: str) -> Callable[[str], str]:
    """A prefix."""
    return lambda module: prefix + module


def diffusers(prefix: str) -> Callable[[str], str]:
    """A prefix, and the diffusers names of the attention."""
    return lambda module: prefix + ".".join(TO_DIFFUSERS.get(part, part) for part in module.split("."))


def checkpointed(module: str) -> str:
    """As raw exports of wrapped layers call it."""
    for part in ("mlp", "self_attn", "cross_attn"):
        module = module.replace(f".{part}.", f".{part}.original_{part}.")
    return f"base_model.model.{module}"


KOHYA = {"down": "lora_down.weight", "up": "lora_up.weight"}
SPELLINGS: Mapping[str, Spelling] = {
    "official trainer": Spelling(dotted("base_model.model."), alpha="json"),
    "old FL trainer": Spelling(dotted("base_model.model.base_model.model."), alpha="json"),
    "SN trainer": Spelling(dotted("base_model.model.")),
    "Side-Step export": Spelling(dotted("base_model.model."), **KOHYA),
    "Side-Step for ComfyUI": Spelling(dotted("diffusion_model.decoder."), **KOHYA),
    "ai-toolkit": Spelling(dotted("diffusion_model.decoder."), alpha="nowhere"),
    "diffusers": Spelling(diffusers("transformer."), alpha="header"),
    "old diffusers": Spelling(diffusers("transformer."), "lora.down.weight", "lora.up.weight"),
    "ComfyUI": Spelling(dotted("model.diffusion_model.decoder."), **KOHYA),
    "ComfyUI without its model": Spelling(dotted("diffusion_model."), **KOHYA),
    "bare": Spelling(dotted(""), "lora_A", "lora_B"),
    "decoder": Spelling(dotted("decoder.")),
    "raw PEFT": Spelling(dotted("base_model.model."), "lora_A.default.weight", "lora_B.default.weight"),
    "raw PEFT, named": Spelling(
        dotted("base_model.model."), "lora_A.my_song.weight", "lora_B.my_song.weight"
    ),
    "checkpointed layers": Spelling(checkpointed),
    "transformers": Spelling(
        dotted("decoder."), "lora_linear_layer.down.weight", "lora_linear_layer.up.weight"
    ),
    "LyCORIS": Spelling(flat("lycoris_"), **KOHYA),
    "LyCORIS with decoder": Spelling(flat("lycoris_decoder_"), **KOHYA),
    "kohya": Spelling(flat("lora_unet_"), **KOHYA),
    "kohya with decoder": Spelling(flat("lora_unet_decoder_"), **KOHYA),
    "transformer, flat": Spelling(flat("lora_transformer_"), **KOHYA),
    "transformer, flat, with decoder": Spelling(flat("lora_transformer_decoder_"), **KOHYA),
}


def modules(layers: int, names: Iterable[str] = ATTENTION) -> list[str]:
    """Linear layers of all blocks of a transformer."""
    return [f"layers.{index}.{name}" for index in range(layers) for name in names]


def random_lora(
    shapes: Mapping[str, tuple[int, ...]], names: Iterable[str], rank: int = 4, seed: int = 0
) -> Lora:
    """Factors for these modules. shapes: of the network's weights."""
    generator = torch.Generator().manual_seed(seed)
    lora = {}
    for name in names:
        rows, columns = shapes[f"{name}.weight"]
        down, up = (
            torch.randn(rank, columns, generator=generator),
            torch.randn(rows, rank, generator=generator),
        )
        lora[name] = (down / columns**0.5, 0.3 * up)
    return lora


def expected(lora: Lora, alpha: float = ALPHA) -> Named:
    """What each weight gains at strength 1."""
    return {f"{name}.weight": alpha / len(down) * up @ down for name, (down, up) in lora.items()}


def spelt(lora: Lora, spelling: Spelling, alpha: float = ALPHA) -> Named:
    """The tensors of a file."""
    tensors: Named = {}
    for name, (down, up) in lora.items():
        key = spelling.key(name)
        share = alpha / len(down) if spelling.alpha == "nowhere" else 1.0  # such trainers scale by nothing
        tensors[f"{key}.{spelling.down}"] = down.clone()
        tensors[f"{key}.{spelling.up}"] = share * up
        if spelling.alpha == "file":
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
    return tensors


def write_spelling(folder: Path, name: str, lora: Lora, alpha: float = ALPHA) -> Path:
    """Write the adapter as this program does; the path to choose, a folder for a PEFT pair."""
    spelling, rank = SPELLINGS[name], len(next(iter(lora.values()))[0])
    tensors, header = spelt(lora, spelling, alpha), {"format": "pt"}
    folder.mkdir(parents=True, exist_ok=True)
    if spelling.alpha == "json":
        save_file(tensors, folder / PEFT_FILE, metadata=header)
        write_json(folder, r=rank, lora_alpha=alpha)
        return folder
    if spelling.alpha == "header":
        config = {"transformer.r": rank, "transformer.lora_alpha": alpha, "transformer.use_rslora": False}
        header["lora_adapter_metadata"] = json.dumps(config)
    path = folder / f"{name}.safetensors"
    save_file(tensors, path, metadata=header)
    return path


def write_json(folder: Path, **settings: Any) -> None:
    """PEFT's adapter_config.json."""
    config = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 8,
        "rank_pattern": {},
        "alpha_pattern": {},
        **settings,
    }
    (folder / PEFT_JSON).write_text(json.dumps(config), encoding="utf-8")


def write_examples(folder: Path, model: Mapping[str, Tensor]) -> Path:
    """The two adapters that the example workflows name, for a model of these official tensors."""
    part = "decoder."
    shapes = {key.removeprefix(part): tuple(w.shape) for key, w in model.items() if key.startswith(part)}
    layers = len({key.split(".")[1] for key in shapes if key.startswith("layers.")})
    first = random_lora(shapes, modules(layers, (*ATTENTION, *MLP)), seed=1)
    second = random_lora(shapes, modules(layers), seed=2)
    write_spelling(folder, "ComfyUI", first).rename(folder / EXAMPLE)
    write_spelling(folder / EXAMPLE_FOLDER, "official trainer", second)
    return folder


def write_for_every_network(path: Path) -> None:
    """A difference of nothing for one layer of each network of the tiny model and of the tiny planner."""
    layers = {
        "decoder.layers.0.self_attn.q_proj": (64, 48),
        "encoder.text_projector": (48, 16),
        "detokenizer.proj_out": (64, 48),
        "model.layers.0.mlp.up_proj": (40, 16),
    }
    save_file({f"{name}.diff": torch.zeros(shape) for name, shape in layers.items()}, path)
