"""How trainers spell the names in an adapter file, and which weight of ACE-Step 1.5 they mean.

A key is the path of a module, and a piece of the change that is made to it.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
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
LOW_RANK, LINEAR = "A|B|down|up|mid", "(?:_linear_layer)?"
SINGLE = "alpha|oft_blocks|rescale|diff|diff_b|w_norm|b_norm|set_weight"
FACTOR = "w[12]|w[12]_[ab]|t[12]"  # of LoKr and LoHa
END = RUN_NAME + r"(?:\.weight)?$"
PIECES: tuple[tuple[str, Mapping[str, str]], ...] = (  # the end of a key, and what a piece is called here
    (rf"\.lora_({LOW_RANK}){END}", MappingProxyType({"A": "down", "B": "up", "mid": "middle"})),
    (rf"[._]lora{LINEAR}\.(down|up)\.weight$", {}),
    (rf"\.(lora_magnitude_vector|dora_scale){END}", {}),
    (rf"\.((?:lokr|hada)_(?:{FACTOR})){RUN_NAME}$", {}),
    (rf"\.(oft_R){RUN_NAME}\.weight$", {}),
    (rf"\.({SINGLE})$", {}),
    (r"\.([ab][12]|bm)\.weight$", {}),
)
WHOLE = r"(?:\.modules_to_save)?(?:\.default)?\.(weight|bias)$"
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
FLAT = r"^(?:lycoris|lora_unet|lora_transformer|lora)_(?=[^.]+$)"
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
        if found := re.search(pattern, key):
            piece = found[1]
            return Piece(key[: found.start()], names.get(piece, piece))
    return None


def whole_of(key: str) -> Piece | None:
    """The module that a key gives a new weight or bias, as PEFT saves layers that were trained in full."""
    found = re.search(WHOLE, key)
    return None if found is None else Piece(key[: found.start()], found[1])


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
        flat = re.match(FLAT, module)
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
