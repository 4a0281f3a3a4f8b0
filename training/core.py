"""All that the training takes from the plugin's core, in one place."""

from acestep_core.checkpoints.oobleck_keys import fold
from acestep_core.checkpoints.weights import load_exactly
from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.dit import DiffusionTransformer
from acestep_core.networks.oobleck import Oobleck
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.networks.text_encoder import build_qwen3
from acestep_core.text.prompts import (
    BPM_RANGE,
    END_OF_TEXT,
    INSTRUMENTAL,
    KEYS,
    LANGUAGES,
    TRACKS,
    Brief,
    caption_prompt,
    lyrics_prompt,
)
from acestep_core.text.tasks import TASKS, instruction
from acestep_core.text.tokenizer import TextTokenizer

__all__ = [
    "BPM_RANGE",
    "END_OF_TEXT",
    "INSTRUMENTAL",
    "KEYS",
    "LANGUAGES",
    "TASKS",
    "TRACKS",
    "AudioCodec",
    "Brief",
    "ConditionEncoder",
    "DiffusionTransformer",
    "ModelConfig",
    "Oobleck",
    "Qwen3Sizes",
    "TextTokenizer",
    "VaeConfig",
    "build_qwen3",
    "caption_prompt",
    "fold",
    "instruction",
    "load_exactly",
    "lyrics_prompt",
]
