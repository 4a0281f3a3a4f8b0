"""How trainers spell the names in an adapter file, and which weight of ACE-Step 1.5 they mean.

A key is a module's path and a piece of what changes it: `base_model.model.layers.0.mlp.up_proj` and `lora_A.weight`.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from re import compile as regex  # the plain name reads like compiled code to scanners
from types import MappingProxyType
from typing import NamedTuple

from ..checkpoints.key_maps import DIFFUSERS_NAMES, official_name


class Part(Enum):
    """A network that an adapter may change, in words."""

    TRANSFORMER = "transformer"
    CONDITIONS = "condition encoder"
    CODEC = "semantic tokenizer"
    TEXT = "text encoder"
    PLANNER = "planner"


class Place(NamedTuple):
    """A module of one of the networks, named as the network names it."""

    part: Part
    module: str


class Piece(NamedTuple):
    """One tensor's share in the change of a module, and the module as the file spells it."""

    module: str
    name: str


RUN_NAME = r"(?:\.(?!weight$)\w+)?"  # raw exports keep the name that an adapter had while it was trained
PIECES: tuple[tuple[re.Pattern[str], Mapping[str, str]], ...] = tuple(
    (regex(pattern + "$"), MappingProxyType(names))
    for pattern, names in (
        (
            rf"\.lora_(?P<piece>A|B|down|up|mid){RUN_NAME}(?:\.weight)?",
            {"A": "down", "B": "up", "down": "down", "up": "up", "mid": "middle"},
        ),
        (r"[._]lora(?:_linear_layer)?\.(?P<piece>down|up)\.weight", {"down": "down", "up": "up"}),
        (rf"\.(?P<piece>lora_magnitude_vector|dora_scale){RUN_NAME}(?:\.weight)?", {}),
        (rf"\.(?P<piece>lokr_(?:w[12](?:_[ab])?|t2)|hada_(?:w[12]_[ab]|t[12])){RUN_NAME}", {}),
        (rf"\.(?P<piece>oft_R){RUN_NAME}\.weight", {}),
        (r"\.(?P<piece>alpha|oft_blocks|rescale|diff|diff_b|w_norm|b_norm|set_weight)", {}),
        (r"\.(?P<piece>[ab][12]|bm)\.weight", {}),
    )
)
WHOLE = regex(r"(?:\.modules_to_save)?(?:\.(?!weight$|bias$)default)?\.(?P<piece>weight|bias)$")
WRAPPERS = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
)  # longest first
CHECKPOINTING = (
    ".original_mlp.",
    ".original_self_attn.",
    ".original_cross_attn.",
)  # left behind in raw exports
FLAT = regex(r"^(?:lycoris|lora_unet|lora_transformer|lora)_(?=[^.]+$)")
PREFIXES: tuple[
    tuple[str, Part, str], ...
] = (  # as spelt, the network, and what the network itself says there
    ("decoder.", Part.TRANSFORMER, ""),
    ("encoder.", Part.CONDITIONS, ""),
    ("condition_encoder.", Part.CONDITIONS, ""),
    ("tokenizer.", Part.CODEC, "tokenizer."),
    ("detokenizer.", Part.CODEC, "detokenizer."),
    ("audio_tokenizer.", Part.CODEC, "tokenizer."),
    ("audio_token_detokenizer.", Part.CODEC, "detokenizer."),
    ("text_encoder.model.", Part.TEXT, "model."),
    ("text_encoder.", Part.TEXT, "model."),
    (
        "model.",
        Part.PLANNER,
        "",
    ),  # never merely taken off: a planner's layers have the transformer's names and shapes
    ("lm_head", Part.PLANNER, "lm_head"),
)
FLAT_FRONTS: Mapping[Part, tuple[str, ...]] = (
    MappingProxyType(  # what flat names may have before the network's own
        {
            Part.TRANSFORMER: ("", "decoder."),
            Part.CONDITIONS: ("encoder.", "condition_encoder."),
            Part.CODEC: ("",),
            Part.TEXT: ("text_encoder.",),
            Part.PLANNER: ("model.",),
        }
    )
)


def piece_of(key: str) -> Piece | None:
    """The module and the piece of it that a key names; None if the key is no adapter's."""
    for pattern, names in PIECES:
        if found := pattern.search(key):
            piece = found["piece"]
            return Piece(key[: found.start()], names.get(piece, piece))
    return None


def whole_of(key: str) -> Piece | None:
    """The module that a key gives a new weight or bias, as PEFT saves layers that were trained in full."""
    found = WHOLE.search(key)
    return None if found is None else Piece(key[: found.start()], found["piece"])


def unwrapped(module: str) -> str:
    """A module's path without the wrappers that trainers save along with it, however often they come."""
    while wrapper := next((w for w in WRAPPERS if module.startswith(w)), None):
        module = module.removeprefix(wrapper)
    for inside in CHECKPOINTING:
        module = module.replace(inside, ".")
    return module


def place_of(module: str) -> Place:
    """Where a dotted path leads, whether or not there is such a module."""
    path = unwrapped(module)
    for prefix, part, front in PREFIXES:
        if path.startswith(prefix):
            return Place(part, front + official(path.removeprefix(prefix)))
    return Place(Part.TRANSFORMER, official(path))


def official(module: str) -> str:
    """The official name of a module that may be spelt the diffusers way."""
    return official_name(f".{module}.")[1:-1]


class Names:
    """The modules of the networks at hand, found under any spelling."""

    def __init__(self, modules: Mapping[Part, Iterable[str]]) -> None:
        self._flat = {
            spelling: Place(part, module)
            for part, names in modules.items()
            for module in names
            for spelling in flat_spellings(part, module)
        }

    def place(self, module: str) -> Place:
        """Where a module's path leads; flat ones are looked up, for an underscore may be a dot or not."""
        flat = FLAT.match(module)
        if flat is None:
            return place_of(module)
        name = module[flat.end() :]
        return self._flat.get(name) or place_of(guessed(name))


def flat_spellings(part: Part, module: str) -> set[str]:
    """How a module's path is written without dots."""
    names = {module, diffusers(module)}
    return {(front + name).replace(".", "_") for front in FLAT_FRONTS[part] for name in names}


def diffusers(module: str) -> str:
    """The diffusers name of an official module."""
    path = f".{module}."
    for foreign, known in DIFFUSERS_NAMES.items():
        path = path.replace(known, foreign)
    return path[1:-1]


def guessed(flat: str) -> str:
    """A path without dots of a network that is not at hand: its beginning at least tells which one it is."""
    for prefix, _, _ in PREFIXES:
        spelt = prefix.replace(".", "_")
        if flat.startswith(spelt):
            return prefix + flat.removeprefix(spelt)
    return flat
