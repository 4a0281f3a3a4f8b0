"""The kinds of ACE-Step 1.5 checkpoints, and how to tell which one a file is."""

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import UnsupportedCheckpointError
from ..files import is_file
from ..interface import AUTO

NAMED = r"(?<![a-z])(turbo|base|sft)(?![a-z])"
ACE_STEP = r"ace[-_ ]?step"
REACH = 3  # folders above a file that may carry the model's name, as in a download cache


class Variant(Enum):
    """What a checkpoint was trained for."""

    TURBO = "turbo"  # distilled: few steps, no guidance
    BASE = "base"  # every task
    SFT = "sft"  # fine-tuned for sound

    @property
    def is_turbo(self) -> bool:
        """Whether the checkpoint is distilled."""
        return self is Variant.TURBO


def variant_of(path: Path, config: Mapping[str, Any], asked: str = AUTO) -> Variant:
    """What the caller asked for, else what config.json says of turbo, else what the names of file and folders say."""
    choices = {variant.value: variant for variant in Variant}
    if asked != AUTO:
        if asked not in choices:
            raise UnsupportedCheckpointError(
                f"There is no variant {asked}.", f"Choose {AUTO}, {', '.join(choices)}."
            )
        return choices[asked]
    is_turbo = config.get("is_turbo")
    if is_turbo:
        return Variant.TURBO
    named = {choices[name] for name in names_on(path)}
    if is_turbo is not None:
        named = named - {Variant.TURBO} or {Variant.BASE}  # base and sft are played alike
    if len(named) != 1:
        raise UnsupportedCheckpointError(
            f"The weights of {path.name} do not tell which variant they are, and the name does not say it either.",
            "Set the variant to turbo, base or sft, or put that word into the name.",
        )
    return named.pop()


def names_on(path: Path) -> set[str]:
    """Variants that the nearest telling name speaks of: the path's own, else a folder's above that names ACE-Step."""
    above = [folder.name for folder in list(path.parents)[:REACH]]
    names = [path.stem if is_file(path) else path.name, *above]
    for distance, name in enumerate(name.lower() for name in names):
        if found := set(re.findall(NAMED, name)):
            return found if distance == 0 or re.search(ACE_STEP, name) else set()
    return set()
