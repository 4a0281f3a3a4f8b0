"""The parts of a checkpoint become networks, filled exactly."""

from pathlib import Path
from typing import cast

import torch
from torch import nn

from . import text_encoder
from .audio_codes import AudioCodec
from .checkpoint import Checkpoint
from .condition_encoder import ConditionEncoder
from .dit import DiffusionTransformer
from .errors import UnsupportedCheckpointError
from .key_maps import NULL_CONDITION
from .layers import LayerOps
from .oobleck import Oobleck, fold
from .silence import Silence, derive_silence
from .text_tokenizer import TextTokenizer
from .weights import load_exactly

PLAIN: LayerOps = cast(LayerOps, nn)  # a module offers the same names


def name_of(dtype: torch.dtype) -> str:
    """The short name of a floating dtype."""
    short = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
    return short.get(dtype, str(dtype).removeprefix("torch."))


def load_transformer(
    checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> DiffusionTransformer:
    """The diffusion transformer with its null condition. dtype None: the file's own memory, nothing is copied."""
    files = checkpoint.model_files()
    weights = files.weights.under("decoder.").joined(files.weights.only(NULL_CONDITION))
    module = load_exactly(lambda: DiffusionTransformer(files.config, ops), weights, dtype)
    return cast(DiffusionTransformer, module)


def load_condition_encoder(
    checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> ConditionEncoder:
    """The encoder of lyrics, timbre and caption."""
    files = checkpoint.model_files()
    weights = files.weights.under("encoder.")
    return cast(ConditionEncoder, load_exactly(lambda: ConditionEncoder(files.config, ops), weights, dtype))


def load_codec(checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None) -> AudioCodec:
    """The semantic tokenizer and detokenizer."""
    files = checkpoint.model_files()
    weights = files.weights.only("tokenizer.", "detokenizer.")
    if not weights:
        raise UnsupportedCheckpointError(
            "The checkpoint has no audio tokenizer, which turns music into codes and back.",
            "Download its folders audio_tokenizer and audio_token_detokenizer as well.",
        )
    return cast(AudioCodec, load_exactly(lambda: AudioCodec(files.config, ops), weights, dtype))


def load_vae(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> Oobleck:
    """The VAE, weight norm undone."""
    files = checkpoint.vae_files()
    return cast(Oobleck, load_exactly(lambda: Oobleck(files.config), fold(files.weights, dtype)))


def load_text_encoder(
    checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> text_encoder.TextEncoder:
    """The Qwen3 text encoder."""
    files = checkpoint.text_files()
    return text_encoder.load_text_encoder(files.weights, files.sizes, ops, dtype).train(False)


def load_tokenizer(checkpoint: Checkpoint, bundled: Path | None = None) -> TextTokenizer:
    """The text encoder's tokenizer; `bundled` is the host's folder of Qwen files, for files that bring none."""
    files = checkpoint.text_files()
    if files.tokenizer is not None:
        return TextTokenizer.from_folder(files.tokenizer)
    if bundled is None:
        raise UnsupportedCheckpointError(
            "The text encoder comes without a tokenizer.",
            f"Use the folder {text_encoder.TEXT_FOLDER}, which brings its tokenizer.json.",
        )
    return TextTokenizer.from_comfyui(bundled)


def load_silence(checkpoint: Checkpoint, vae: Oobleck | None = None) -> Silence:
    """The stored silence; else what the VAE makes of zeros, loaded for that unless one is at hand."""
    stored = checkpoint.model_files().silence
    if stored is not None:
        return Silence(stored)
    if vae is None and checkpoint.vae is None:
        raise UnsupportedCheckpointError(
            "The model file brings no silence latent, and there is no VAE to make one.",
            "Choose a VAE along with the model.",
        )
    return derive_silence(vae or load_vae(checkpoint, torch.float32))
