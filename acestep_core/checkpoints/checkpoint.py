"""The parts of a checkpoint, found and described but not yet read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ..errors import UnsupportedCheckpointError
from ..networks.config import ModelConfig, VaeConfig
from ..networks.qwen3 import TEXT_FILE, TEXT_FOLDER, Qwen3Sizes
from .variants import Variant
from .weights import Weights

VAE_FILE = "ace_1.5_vae.safetensors"
CHOOSE_TEXT_ENCODER = f"Choose {TEXT_FOLDER} ({TEXT_FILE}) as the text encoder."
CHOOSE_VAE = f"Choose the VAE of ACE-Step 1.5 ({VAE_FILE})."

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, eq=False)
class ModelFiles:
    """Transformer, condition encoder, tokenizer and detokenizer."""

    weights: Weights  # official names
    config: ModelConfig
    variant: Variant
    silence: Tensor | None  # [1, T, C] float32; None: the VAE has to derive it
    knows_stems: bool = False  # trained on stems, with captions of their own form
    lyric_heads: Any = None  # of config.json, unchecked: the attention heads that follow the lyrics


@dataclass(frozen=True, slots=True, eq=False)
class TextFiles:
    """The Qwen3 text encoder."""

    weights: Weights  # names without a leading `model.`
    sizes: Qwen3Sizes
    tokenizer: Path | None  # folder with a tokenizer.json; None: the Qwen vocabulary of the host


@dataclass(frozen=True, slots=True, eq=False)
class VaeFiles:
    """The Oobleck VAE."""

    weights: Weights  # as they lie in the file; `oobleck_keys.fold` understands every layout
    config: VaeConfig
    origin: str = ""  # name of the file or folder


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What was found; a part that is None has to come from elsewhere before it can be loaded."""

    model: ModelFiles | None = None
    text: TextFiles | None = None
    vae: VaeFiles | None = None

    def checked(self) -> "Checkpoint":
        """Itself, if its parts can work together."""
        if self.model and self.text:
            refuse_different(
                "The text encoder's vectors",
                self.text.sizes.hidden_size,
                self.model.config.text_hidden_dim,
                CHOOSE_TEXT_ENCODER,
            )
        if self.model and self.vae:
            refuse_different(
                "The VAE's latents",
                self.vae.config.decoder_input_channels,
                self.model.config.audio_acoustic_hidden_dim,
                CHOOSE_VAE,
            )
        return self

    def model_files(self) -> ModelFiles:
        """The model, or an error that says it is missing."""
        return present(self.model, "model", "Choose an ACE-Step 1.5 model file or folder.")

    def text_files(self) -> TextFiles:
        """The text encoder, or an error that says it is missing."""
        return present(
            self.text, "text encoder", f"Choose one, or put {TEXT_FOLDER} beside the model folder."
        )

    def vae_files(self) -> VaeFiles:
        """The VAE, or an error that says it is missing."""
        return present(self.vae, "VAE", "Choose one, or put the folder vae beside the model folder.")


def present(part: Part | None, name: str, remedy: str) -> Part:
    """The part, unless it is missing."""
    if part is None:
        raise UnsupportedCheckpointError(f"The checkpoint has no {name}.", remedy)
    return part


def refuse_different(what: str, given: int, wanted: int, remedy: str) -> None:
    """Two parts have to agree on a width."""
    if given != wanted:
        raise UnsupportedCheckpointError(
            f"{what} have {given} channels, but the model works with {wanted}.", remedy
        )
