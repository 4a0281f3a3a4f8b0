"""All that the training takes from the plugin's core, in one place."""

from acestep_core.attention import KeyValue, Positions
from acestep_core.condition_encoder import ConditionEncoder
from acestep_core.config import ModelConfig
from acestep_core.dit import DiffusionTransformer, padding_bias
from acestep_core.prompts import BPM_RANGE, END_OF_TEXT, INSTRUMENTAL, KEYS, LANGUAGES, TRACKS, Brief, caption_prompt, lyrics_prompt
from acestep_core.tasks import TASKS, Task, instruction
from acestep_core.text_encoder import Qwen3Sizes, build_qwen3
from acestep_core.text_tokenizer import TextTokenizer

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
    "Positions",
    "Qwen3Sizes",
    "Task",
    "TextTokenizer",
    "build_qwen3",
    "caption_prompt",
    "instruction",
    "lyrics_prompt",
    "padding_bias",
]
