"""Which files make a checkpoint: official folder, diffusers folder, one file for all, or a file for each part."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UnsupportedCheckpointError
from ..files import is_file, is_folder, read_json
from ..interface import AUTO
from ..networks.config import TEXT_ROWS, ModelConfig, VaeConfig
from ..networks.oobleck import refuse_other_strides
from ..networks.qwen3 import TEXT_FILE, TEXT_FOLDER, Qwen3Sizes
from . import key_maps
from .checkpoint import (
    CHOOSE_TEXT_ENCODER,
    CHOOSE_VAE,
    VAE_FILE,
    Checkpoint,
    ModelFiles,
    TextFiles,
    VaeFiles,
)
from .kinds import (
    CONFIG,
    DIFFUSERS_INDEX,
    is_whole,
    knows_codes,
    qwen_config,
    qwen_folder,
    require_tokenizer,
)
from .shapes import model_config_of, model_layers, refuse_absent_layers, vae_config_of
from .shards import open_folder
from .stored_silence import SILENCE_FILE, checked_silence, read_silence
from .tensor_file import few
from .variants import variant_of
from .weights import Weights

MODEL_FOLDERS = "acestep-v15-*"
VAE_FOLDER = "vae"
LYRIC_HEADS = "lyric_alignment_layers_config"
NATIVE_STEM, DIFFUSERS_STEM = "model", "diffusion_pytorch_model"


def nowhere(_name: str) -> None:
    """A host without files of their own for the parts."""


def open_checkpoint(
    path: Path,
    variant: str = AUTO,
    text_encoder: Path | None = None,
    vae: Path | None = None,
    published: Callable[[str], Path | None] = nowhere,
) -> Checkpoint:
    """Whatever `path` holds, in any layout, and the parts that belong to it.

    text_encoder, vae: None is auto: what lies in or beside the model, else the published file of its own, wherever the
    host has one of that name.
    """
    found = open_any(path, variant)
    if text_encoder is None and found.text is None:
        text_encoder = published(TEXT_FILE)
    text = found.text if text_encoder is None else open_text_encoder(text_encoder)
    if vae is None and found.vae is None:
        vae = published(VAE_FILE)
    return replace(found, text=text, vae=found.vae if vae is None else open_vae(vae)).checked()


def open_any(path: Path, variant: str) -> Checkpoint:
    """Tell the layouts apart by what lies in the folder, or by the names in the file."""
    if not is_folder(path):
        return open_one_file(path, variant)
    if is_whole(path):
        diffusers = is_file(path / DIFFUSERS_INDEX)
        return open_diffusers(path, variant) if diffusers else open_official(path, variant)
    inside = [folder for folder in sorted(path.glob(MODEL_FOLDERS)) if is_file(folder / CONFIG)]
    if len(inside) != 1:
        found = f"several models ({few(folder.name for folder in inside)})" if inside else "no model"
        first = "an ACE-Step 1 checkpoint, and " if is_folder(path / "ace_step_transformer") else ""
        raise UnsupportedCheckpointError(
            f"{path} holds {first}{found}.",
            f"Choose a folder with {CONFIG} and {NATIVE_STEM}.safetensors, or with {DIFFUSERS_INDEX}.",
        )
    return open_official(inside[0], variant)


def open_official(folder: Path, variant: str) -> Checkpoint:
    """A model folder as published; VAE and text encoder are looked for in it, then beside it."""
    raw = read_json(folder / CONFIG)
    config = ModelConfig.from_json(raw)
    weights = open_folder(folder, NATIVE_STEM)
    key_maps.refuse_foreign_model(weights, folder.name)
    refuse_absent_layers(weights.shapes(), model_layers(config))
    silence = folder / SILENCE_FILE
    text = around(folder, TEXT_FOLDER, f"{NATIVE_STEM}*.safetensors")
    vae = around(folder, VAE_FOLDER, f"{DIFFUSERS_STEM}*.safetensors")
    model = ModelFiles(
        weights=weights,
        config=config,
        variant=variant_of(folder, raw, variant),
        silence=read_silence(silence, config.audio_acoustic_hidden_dim) if is_file(silence) else None,
        knows_stems=bool(raw.get("is_lego_sft")),
        lyric_heads=raw.get(LYRIC_HEADS),
    )
    return Checkpoint(
        model=model,
        text=None if text is None else open_text_encoder(text),
        vae=None if vae is None else open_vae(vae),
    )


def open_diffusers(folder: Path, variant: str) -> Checkpoint:
    """A folder saved by the diffusers pipeline; its names become the official ones."""
    weights = Weights({})
    for name in key_maps.DIFFUSERS_PARTS:
        if name not in key_maps.DIFFUSERS_CODEC or is_folder(folder / name):
            part = open_folder(folder / name, DIFFUSERS_STEM)
            weights = weights.joined(
                part.renamed(lambda key, name=name: key_maps.official_model_name(name, key))
            )
    key_maps.refuse_foreign_model(weights, folder.name)
    codec = folder / "audio_tokenizer" / CONFIG
    transformer = read_json(folder / "transformer" / CONFIG)
    config = ModelConfig.from_components(
        transformer,
        read_json(folder / "condition_encoder" / CONFIG),
        read_json(codec) if is_file(codec) else None,
    )
    refuse_absent_layers(weights.shapes(), model_layers(config))
    encoder = open_folder(folder / "condition_encoder", DIFFUSERS_STEM)
    stored, beside = encoder.get(key_maps.DIFFUSERS_SILENCE), folder / SILENCE_FILE
    if stored is not None:
        stored = checked_silence(
            stored, config.audio_acoustic_hidden_dim, f"{folder.name} ({key_maps.DIFFUSERS_SILENCE})"
        )
    elif is_file(beside):
        stored = read_silence(beside, config.audio_acoustic_hidden_dim)
    model = ModelFiles(
        weights=weights,
        config=config,
        variant=variant_of(folder, transformer, variant),
        silence=stored,
        knows_stems=bool(transformer.get("is_lego_sft")),
        lyric_heads=transformer.get(LYRIC_HEADS),
    )
    return Checkpoint(
        model=model,
        text=open_text_folder(folder / "text_encoder", folder / "tokenizer"),
        vae=open_vae(folder / VAE_FOLDER),
    )


def open_one_file(path: Path, variant: str) -> Checkpoint:
    """ComfyUI's file of everything, or a file that holds the model alone."""
    whole = Weights.open(path)
    prefixed = whole.under(key_maps.COMFYUI_MODEL)
    weights = prefixed or whole
    key_maps.refuse_foreign_model(weights, path.name)
    model = ModelFiles(
        weights=weights,
        config=model_config_of(weights.shapes()),
        variant=variant_of(path, {}, variant),
        silence=None,
    )
    text, vae = whole.under(key_maps.COMFYUI_TEXT_ENCODER), whole.under(key_maps.COMFYUI_VAE)
    return Checkpoint(
        model=model,
        text=text_files(text, path.name) if text else None,
        vae=vae_files(vae, path.name) if vae else None,
    )


def open_text_encoder(path: Path) -> TextFiles:
    """A text encoder's folder, or its file; a file inside such a folder counts as the folder."""
    folder = qwen_folder(path)
    if folder is not None:
        return open_text_folder(folder, folder)
    return text_files(Weights.open(path), path.name)


def open_text_folder(folder: Path, tokenizer: Path) -> TextFiles:
    """A folder with config.json and weights, and the one with its tokenizer.json."""
    remedy = f"Choose the folder {TEXT_FOLDER} that belongs to ACE-Step 1.5."
    raw = qwen_config(folder, "text encoder", remedy)
    require_tokenizer(tokenizer)
    weights = open_folder(folder, NATIVE_STEM).renamed(key_maps.qwen_name)
    refuse_planner(weights, folder.name)
    sizes = Qwen3Sizes.from_json(raw)
    refuse_absent_layers(weights.shapes(), {"": sizes.num_hidden_layers})
    return TextFiles(weights, sizes, tokenizer)


def text_files(found: Weights, origin: str) -> TextFiles:
    """A text encoder without config.json and tokenizer."""
    weights = found.renamed(key_maps.qwen_name)
    refuse_planner(weights, origin)
    rows = weights.shape("embed_tokens.weight")[0]
    if rows != TEXT_ROWS:
        raise UnsupportedCheckpointError(
            f"{origin} knows {rows} tokens, the text encoder of ACE-Step 1.5 {TEXT_ROWS}.",
            CHOOSE_TEXT_ENCODER,
        )
    return TextFiles(weights, Qwen3Sizes.from_shapes(weights.shapes()), tokenizer=None)


def refuse_planner(weights: Weights, origin: str) -> None:
    """The text encoder is a Qwen3, and not the one that writes audio codes."""
    remedy = CHOOSE_TEXT_ENCODER
    if not {"embed_tokens.weight", "layers.0.self_attn.q_norm.weight"} <= weights.keys():
        raise UnsupportedCheckpointError(f"{origin} is {key_maps.kind_of(weights)}, not a Qwen3.", remedy)
    rows = weights.shape("embed_tokens.weight")[0]
    if knows_codes(rows):
        raise UnsupportedCheckpointError(
            f"{origin} is a planner: it knows {rows} tokens, audio codes among them.", remedy
        )
    if rows > TEXT_ROWS:
        raise UnsupportedCheckpointError(
            f"{origin} is another Qwen3: it knows {rows} tokens instead of {TEXT_ROWS}.", remedy
        )


def open_vae(path: Path) -> VaeFiles:
    """A VAE's folder, or its file."""
    if not is_folder(path):
        return vae_files(Weights.open(path), path.name)
    return vae_files(open_folder(path, DIFFUSERS_STEM), path.name, read_json(path / CONFIG))


def vae_files(weights: Weights, origin: str, raw: Mapping[str, Any] | None = None) -> VaeFiles:
    """A VAE with or without a config.json."""
    if not any("decoder.layers.1.layers." in name or "decoder.conv1." in name for name in weights):
        raise UnsupportedCheckpointError(
            f"{origin} is {key_maps.kind_of(weights)}, not an Oobleck VAE.",
            CHOOSE_VAE,
        )
    config = vae_config_of(weights.shapes()) if raw is None else VaeConfig.from_json(raw)
    refuse_other_strides(config.downsampling_ratios)
    return VaeFiles(weights, config, origin)


def around(folder: Path, name: str, pattern: str) -> Path | None:
    """A part's folder in the model's folder or beside it; one without weights and config.json is something else."""
    candidates = (folder / name, folder.parent / name)
    return next((part for part in candidates if is_file(part / CONFIG) and any(part.glob(pattern))), None)
