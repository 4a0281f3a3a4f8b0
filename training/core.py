"""All that the training takes from the plugin's core, in one place."""

from acestep_core.attention import KeyValue, Positions
from acestep_core.condition_encoder import ConditionEncoder
from acestep_core.config import ModelConfig, VaeConfig
from acestep_core.dit import DiffusionTransformer, padding_bias
from acestep_core.oobleck import Oobleck, fold
from acestep_core.prompts import BPM_RANGE, END_OF_TEXT, INSTRUMENTAL, KEYS, LANGUAGES, TRACKS, Brief, caption_prompt, lyrics_prompt
from acestep_core.tasks import TASKS, Task, instruction
from acestep_core.text_encoder import Qwen3Sizes, build_qwen3
from acestep_core.text_tokenizer import TextTokenizer
from acestep_core.weights import load_exactly

__all__ = [
    "BPM_RANGE",
    "END_OF_TEXT",
    "INSTRUMENTAL",
    "KEYS",
    "LANGUAGES",
    "TASKS",
    "TRACKS",
    "Brief",
    "ConditionEncoder",
    "DiffusionTransformer",
    "KeyValue",
    "ModelConfig",
    "Oobleck",
    "Positions",
    "Qwen3Sizes",
    "Task",
    "TextTokenizer",
    "VaeConfig",
    "build_qwen3",
    "caption_prompt",
    "fold",
    "instruction",
    "load_exactly",
    "lyrics_prompt",
    "padding_bias",
]
