"""Writes the same tiny random ACE-Step 1.5 model in every layout that a loader has to understand.

    python tests/support/tiny/checkpoint.py OUT [--variant turbo|base|sft] [--seed 0] [--xl] [--dtype float32]

    official/acestep-v15-<variant>/   model.safetensors (XL: two shards and an index), config.json, silence_latent.pt
    official/vae/, official/Qwen3-Embedding-0.6B/, official/acestep-5Hz-lm-1.7B/
    diffusers/                        model_index.json and one folder per component
    comfy/{diffusion_models,text_encoders,vae}/   split files; the VAE in both spellings of weight norm
    comfy/checkpoints/                all in one file

A layer of ACE-Step's own constants stays real (64 latent channels, window 128, strides, vocabulary); widths are small.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from support.tiny.spellings import stable_audio_names, to_diffusers
from support.tiny.tokenizer import tokenizer_config, tokenizer_json
from support.tiny.weights import (
    PLANNER_CONFIG,
    TEXT_CONFIG,
    VAE_CONFIG,
    derived_silence,
    model_weights,
    planner_weights,
    text_weights,
    tiny_config,
    vae_weights,
)

Named = dict[str, Tensor]
PLANNER_FOLDER, PLANNER_FILE = "acestep-5Hz-lm-1.7B", "qwen_1.7b_ace15.safetensors"
CODE_NAMES = 65_535  # in a published planner's tokenizer, up to the last row of its table
DIFFUSERS_CLASSES = {
    "transformer": ("diffusers", "AceStepTransformer1DModel"),
    "condition_encoder": ("ace_step", "AceStepConditionEncoder"),
    "audio_tokenizer": ("ace_step", "AceStepAudioTokenizer"),
    "audio_token_detokenizer": ("ace_step", "AceStepAudioTokenDetokenizer"),
    "vae": ("diffusers", "AutoencoderOobleck"),
    "text_encoder": ("transformers", "Qwen3Model"),
    "tokenizer": ("transformers", "Qwen2TokenizerFast"),
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
}
DIFFUSERS_PREFIXES = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}
STACK_FIELDS = ("head_dim", "rope_theta", "rms_norm_eps", "sliding_window", "attention_bias")
WIDTH_FIELDS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
OWN_FIELDS = {
    "transformer": (
        *("num_hidden_layers", "in_channels", "audio_acoustic_hidden_dim", "patch_size", "layer_types"),
        *("is_turbo", "model_version"),
    ),
    "condition_encoder": (
        *("text_hidden_dim", "timbre_hidden_dim"),
        *("num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers"),
    ),
    "audio_tokenizer": (
        *("audio_acoustic_hidden_dim", "pool_window_size", "fsq_dim", "fsq_input_levels"),
        *("fsq_input_num_quantizers", "num_attention_pooler_hidden_layers"),
    ),
    "audio_token_detokenizer": (
        *("audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"),
    ),
}


@dataclass(frozen=True)
class TinyModel:
    """Everything a checkpoint holds, under official names."""

    name: str  # as in acestep-v15-<name>
    config: dict[str, Any]
    model: Named
    text: Named
    planner: Named
    vae: Named
    silence: Tensor  # [1, 15000, 64]


def tiny_model(
    variant: str = "turbo", seed: int = 0, xl: bool = False, dtype: torch.dtype = torch.float32
) -> TinyModel:
    """The tensors of one tiny model; the same seed gives the same numbers in every variant."""
    config, vae = tiny_config(variant, xl), vae_weights(seed)
    model, text, planner = model_weights(config, seed), text_weights(seed), planner_weights(seed)
    return TinyModel(
        name=f"xl-{variant}" if xl else variant,
        config=config,
        model={key: value.to(dtype) for key, value in model.items()},
        text={key: value.to(dtype) for key, value in text.items()},
        planner={key: value.to(dtype) for key, value in planner.items()},
        vae=vae,
        silence=derived_silence(vae),
    )


def build(
    out: Path | str,
    variant: str = "turbo",
    seed: int = 0,
    xl: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write all four layouts under `out` and return it."""
    tiny, root = tiny_model(variant, seed, xl, dtype), Path(out)
    write_official(tiny, root / "official", shards=2 if xl else 1)
    write_diffusers(tiny, root / "diffusers")
    write_comfy(tiny, root / "comfy")
    return root


def write_official(tiny: TinyModel, root: Path, shards: int = 1) -> Path:
    """The folders of the official repository, whose top repeats the model's config.json; returns the model's own."""
    folder = root / f"acestep-v15-{tiny.name}"
    for place in (root, folder):
        _json(place / "config.json", tiny.config)
    if shards == 1:
        save_file(tiny.model, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        write_shards(tiny.model, folder, shards)
    torch.save(tiny.silence.mT.contiguous(), folder / "silence_latent.pt")
    _write_vae(tiny, root / "vae")
    _write_text(tiny, root / "Qwen3-Embedding-0.6B")
    _write_tokenizer(root / "Qwen3-Embedding-0.6B")
    write_planner(tiny, root / PLANNER_FOLDER)
    return folder


def write_planner(tiny: TinyModel, folder: Path, shards: int = 1) -> Path:
    """The planner's own folder; its keys have no `model.`, as those of the published 1.7B (the 0.6B's do)."""
    _json(folder / "config.json", PLANNER_CONFIG)
    weights = tiny.planner
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        write_shards(weights, folder, shards)
    _write_tokenizer(folder, CODE_NAMES)
    return folder


def write_shards(weights: Mapping[str, Tensor], folder: Path, shards: int) -> None:
    """`model-0000n-of-0000m.safetensors` and the index that names what is where."""
    keys = list(weights)
    names = [f"model-{number:05d}-of-{shards:05d}.safetensors" for number in range(1, shards + 1)]
    placed = {key: names[position * shards // len(keys)] for position, key in enumerate(keys)}
    for name in names:
        save_file({key: weights[key] for key in keys if placed[key] == name}, folder / name)
    total = sum(weight.nbytes for weight in weights.values())
    _json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": placed})


def write_diffusers(tiny: TinyModel, root: Path) -> Path:
    """A folder as `save_pretrained` of the diffusers pipeline writes it."""
    index = {name: list(where) for name, where in DIFFUSERS_CLASSES.items()}
    _json(root / "model_index.json", {"_class_name": "AceStepPipeline", **index})
    loose = {"null_condition_emb": tiny.model["null_condition_emb"], "silence_latent": tiny.silence}
    for name, prefix in DIFFUSERS_PREFIXES.items():
        part = {
            to_diffusers(key.removeprefix(prefix)): w
            for key, w in tiny.model.items()
            if key.startswith(prefix)
        }
        _json(root / name / "config.json", _component_config(name, tiny.config))
        part |= loose if name == "condition_encoder" else {}
        save_file(_contiguous(part), root / name / "diffusion_pytorch_model.safetensors")
    _write_vae(tiny, root / "vae")
    _write_text(tiny, root / "text_encoder")
    _write_tokenizer(root / "tokenizer")
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1, "shift": 1.0}
    _json(root / "scheduler" / "scheduler_config.json", scheduler)
    return root


def write_comfy(tiny: TinyModel, root: Path) -> Path:
    """ComfyUI's repackaged files: one per component, and all in one."""
    for folder in ("diffusion_models", "text_encoders", "vae", "checkpoints"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    file = tiny.name.replace("-", "_")
    text = {f"model.{key}": weight for key, weight in tiny.text.items()}
    vae = stable_audio_names(tiny.vae)
    parametrized = stable_audio_names(tiny.vae, parametrized=True)
    save_file(tiny.model, root / "diffusion_models" / f"acestep_v1.5_{file}.safetensors")
    planner = {f"model.{key}": weight for key, weight in tiny.planner.items()}
    save_file(text, root / "text_encoders" / "qwen_0.6b_ace15.safetensors")
    save_file(planner, root / "text_encoders" / PLANNER_FILE)
    save_file(vae, root / "vae" / "ace_1.5_vae.safetensors")
    save_file(parametrized, root / "vae" / "ace_1.5_vae_parametrized.safetensors")
    whole = {f"model.diffusion_model.{key}": weight for key, weight in tiny.model.items()}
    whole |= {f"vae.{key}": weight for key, weight in vae.items()}
    whole |= {f"text_encoders.qwen3_06b.transformer.{key}": weight for key, weight in text.items()}
    whole |= {f"text_encoders.qwen3_2b.transformer.{key}": weight for key, weight in planner.items()}
    for encoder in ("qwen3_06b", "qwen3_2b"):
        whole[f"text_encoders.{encoder}.logit_scale"] = torch.tensor(
            4.6055
        )  # ComfyUI saves one; nobody reads it
    save_file(whole, root / "checkpoints" / f"ace_step_1.5_{file}_aio.safetensors")
    return root


def _component_config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    encoder = {field: config.get(f"encoder_{field}", config[field]) for field in WIDTH_FIELDS}
    own = {field: config[field] for field in (*STACK_FIELDS, *OWN_FIELDS[name])}
    if name != "transformer":
        return {"_class_name": DIFFUSERS_CLASSES[name][1], **own, **encoder}
    widths = {field: config[field] for field in WIDTH_FIELDS}
    return {
        "_class_name": DIFFUSERS_CLASSES[name][1],
        **own,
        **widths,
        "encoder_hidden_size": encoder["hidden_size"],
    }


def _write_vae(tiny: TinyModel, folder: Path) -> None:
    _json(folder / "config.json", VAE_CONFIG)
    save_file(tiny.vae, folder / "diffusion_pytorch_model.safetensors")


def _write_text(tiny: TinyModel, folder: Path) -> None:
    _json(folder / "config.json", TEXT_CONFIG)
    save_file(tiny.text, folder / "model.safetensors", metadata={"format": "pt"})


def _write_tokenizer(folder: Path, audio_codes: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = tokenizer_json(audio_codes, appends_end=not audio_codes)
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    _json(folder / "tokenizer_config.json", tokenizer_config())


def _contiguous(weights: Mapping[str, Tensor]) -> Named:
    return {key: weight.contiguous() for key, weight in weights.items()}


def _json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant", default="turbo", choices=("turbo", "base", "sft"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--xl", action="store_true")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    given = parser.parse_args()
    build(given.out, given.variant, given.seed, given.xl, getattr(torch, given.dtype))


if __name__ == "__main__":
    main()
