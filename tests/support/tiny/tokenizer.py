"""A small byte-level BPE tokenizer with the real ids of Qwen's bytes and special tokens."""

import json
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

VOCABULARY = 900  # bytes and merges; the ids from here up to the special tokens stay unused
FIRST_SPECIAL = 151_643
SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>"),
    *("<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>"),
    *("</tool_response>", "<think>", "</think>"),
)
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CORPUS = (
    "# Instruction\n# Caption\n# Metas\n- bpm: 120\n- timesignature: 4\n- keyscale: C major\n- duration: 30 seconds\n",
    "# Languages\nen\n\n# Lyric\n[Instrumental] [Verse 1] [Pre-Chorus] [Chorus] [Bridge] [Outro] [Intro] unknown N/A",
    "Fill the audio semantic mask based on the given conditions: Generate audio semantic tokens based on",
    "Repaint the mask area based on the given conditions: Extract the VOCALS track from the audio:",
    "Generate the DRUMS track based on the audio context: Complete the input track with DRUMS | BASS:",
    "a calm piano ballad, upbeat synthpop with bright vocals, driving bass, warm strings, slow drums, male vocal",
    "minor key, female voice, dreamy guitar, deep house, jazz trio, lo-fi hip hop beat, cinematic orchestra",
    "walking through the morning light we sing tonight and all the stars fall down into the quiet sea",
    "I will never let you go, when the summer is over, hold on to my heart, over and over again",
)


def tokenizer_json(audio_codes: int = 0, appends_end: bool = True) -> str:
    """The text of a `tokenizer.json`; a planner's also holds `<|audio_code_n|>` from 151669 on."""
    content = json.loads(_trained().to_str())
    names = (*SPECIAL_TOKENS, *(f"<|audio_code_{code}|>" for code in range(audio_codes)))
    ids = {name: FIRST_SPECIAL + index for index, name in enumerate(names)}
    content["model"]["vocab"] |= ids
    content["added_tokens"] = [_added(name, token) for name, token in ids.items()]
    if appends_end:
        content["post_processor"] = _end_appender(ids["<|endoftext|>"])
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"))


def tokenizer_config() -> dict[str, Any]:
    """What transformers wants beside a `tokenizer.json`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 131_072,
    }


def _trained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    skeleton = json.loads(tokenizer.to_str()) | {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": byte_level,
    }
    tokenizer = Tokenizer.from_str(json.dumps(skeleton))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # in code point order the ids are Qwen's own
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _added(name: str, token: int) -> dict[str, Any]:
    special = not name.startswith(("<think", "</think", "<tool", "</tool"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": token, "content": name, **flags}


def _end_appender(end: int) -> dict[str, Any]:
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    special = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    tokens = {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [end], "tokens": ["<|endoftext|>"]}}
    return {
        "type": "TemplateProcessing",
        "single": [first, special],
        "pair": [first, second, special],
        "special_tokens": tokens,
    }
