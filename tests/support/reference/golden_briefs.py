"""What was asked for in the stored golden runs, in our own terms."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS, Task

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
ENCODER_FOLDER = GOLDEN / "tiny_official" / "Qwen3-Embedding-0.6B"
CODE_SECONDS = {"cover_codes": 9 / 5}  # the length comes from nine audio codes
CASES = {variant: json.loads((GOLDEN / "golden.json").read_text())[variant] for variant in ("turbo", "base")}
ALL_CASES = [(variant, name) for variant, cases in CASES.items() for name in cases]


def briefs_of(variant: str, name: str) -> list[Brief]:
    """One brief per song of the case."""
    case = CASES[variant][name]
    captions, lyrics = as_list(case["prompt"]), as_list(case["lyrics"])
    languages = as_list(case.get("vocal_language", "en"))
    return [
        Brief(
            caption=caption,
            lyrics=words,
            language=language,
            bpm=case.get("bpm"),
            key=case.get("keyscale"),
            time_signature=case.get("timesignature"),
            duration=CODE_SECONDS.get(name, case["audio_duration"]),
            tracks=tracks_of(case),
        )
        for caption, words, language in zip(captions, lyrics, languages * len(captions), strict=False)
    ]


def task_of(variant: str, name: str) -> Task:
    """The task of the case; codes leave it text2music."""
    return TASKS[CASES[variant][name].get("task_type", "text2music")]


def has_codes(name: str) -> bool:
    """Whether the case was given audio codes."""
    return name in CODE_SECONDS


def tracks_of(case: Mapping[str, Any]) -> tuple[str, ...]:
    """Tracks named in the case."""
    return tuple(case.get("complete_track_classes", [case["track_name"]] if "track_name" in case else []))


def as_list(value: Any) -> list[Any]:
    """A batch is stored as a list, a single song as it is."""
    return value if isinstance(value, list) else [value]
