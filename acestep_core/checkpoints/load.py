"""The parts of a checkpoint become networks, filled exactly."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from einops import repeat
from torch import Tensor, nn

from ..errors import UnsupportedCheckpointError
from ..finite import refuse_broken
from ..networks.audio_codes import AudioCodec
from ..networks.condition_encoder import ConditionEncoder
from ..networks.dit import DiffusionTransformer
from ..networks.layers import LayerOps
from ..networks.oobleck import Oobleck
from ..networks.qwen3 import TEXT_FOLDER, Qwen3Sizes
from ..networks.text_encoder import TextEncoder, build_qwen3
from ..silence import Silence
from ..text.tokenizer import TextTokenizer
from ..timebase import MAX_SECONDS, frames_of, samples_of
from .checkpoint import Checkpoint
from .key_maps import NULL_CONDITION
from .oobleck_keys import fold
from .weights import load_exactly

PLAIN: LayerOps = cast(LayerOps, nn)  # a module offers the same names

PROBE_FRAMES = 64  # of zeros that are encoded to find the silence
EDGE_FRAMES = 8  # that feel the beginning of the song; the encoder reaches fewer frames back


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
    return load_exactly(lambda: DiffusionTransformer(files.config, ops), weights, dtype)


def load_condition_encoder(
    checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> ConditionEncoder:
    """The encoder of lyrics, timbre and caption."""
    files = checkpoint.model_files()
    weights = files.weights.under("encoder.")
    return load_exactly(lambda: ConditionEncoder(files.config, ops), weights, dtype)


def load_codec(checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None) -> AudioCodec:
    """The semantic tokenizer and detokenizer."""
    files = checkpoint.model_files()
    weights = files.weights.only("tokenizer.", "detokenizer.")
    if not weights:
        raise UnsupportedCheckpointError(
            "The checkpoint has no audio tokenizer, which turns music into codes and back.",
            "Download its folders audio_tokenizer and audio_token_detokenizer as well.",
        )
    return load_exactly(lambda: AudioCodec(files.config, ops), weights, dtype)


def load_vae(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> Oobleck:
    """The VAE, weight norm undone."""
    files = checkpoint.vae_files()
    vae = load_exactly(lambda: Oobleck(files.config), fold(files.weights, files.config, dtype))
    refuse_broken(vae.named_parameters(), "The VAE")  # a silence may be made with it at once
    return vae


def load_text_encoder(
    checkpoint: Checkpoint, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> TextEncoder:
    """The Qwen3 text encoder."""
    files = checkpoint.text_files()
    return text_encoder_of(files.weights, files.sizes, ops, dtype)


def text_encoder_of(
    weights: Mapping[str, Tensor], sizes: Qwen3Sizes, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> TextEncoder:
    """A text encoder out of any mapping of tensors, whose keys have no leading `model.`."""
    return TextEncoder(load_exactly(lambda: build_qwen3(sizes, ops), weights, dtype)).train(False)


def load_tokenizer(checkpoint: Checkpoint, bundled: Path | None = None) -> TextTokenizer:
    """The text encoder's tokenizer; `bundled` is the host's folder of Qwen files, for files that bring none."""
    files = checkpoint.text_files()
    if files.tokenizer is not None:
        return TextTokenizer.from_folder(files.tokenizer)
    if bundled is None:
        raise UnsupportedCheckpointError(
            "The text encoder comes without a tokenizer.",
            f"Use the folder {TEXT_FOLDER}, which brings its tokenizer.json.",
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


def derive_silence(vae: Oobleck, frames: int = frames_of(MAX_SECONDS)) -> Silence:
    """The silence of a VAE that came without one: the edge of encoded zeros, then its steady frame for ever."""
    zeros = torch.zeros(1, vae.config.audio_channels, samples_of(PROBE_FRAMES))
    probe = vae.encode(zeros).mean
    steady = repeat(probe[:, PROBE_FRAMES // 2], "one d -> one t d", t=max(0, frames - EDGE_FRAMES))
    return Silence(torch.cat((probe[:, :EDGE_FRAMES], steady), 1)[:, :frames])
