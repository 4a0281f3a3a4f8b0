"""How strongly an adapter was trained to act: alpha, rank and scale as its trainer wrote them down, or did not."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import UnsupportedCheckpointError
from ..files import parse_json, read_json
from .keys import unwrapped

PEFT_FILE, PEFT_JSON = "adapter_model.safetensors", "adapter_config.json"
PEFT_KINDS = ("LORA", "LOHA", "LOKR", "OFT")
DIFFUSERS_HEADER, DIFFUSERS_PREFIX = "lora_adapter_metadata", "transformer."
MERGE = "Merge it into a checkpoint with the program that trained it."
EXPORT_AGAIN = "Export it again with the program that trained it."
UNREAD = {  # settings that change what the weights mean, and what they make of the adapter
    "lora_bias": "LoRA with biases",
    "alora_invocation_tokens": "activated LoRA",
    "layer_replication": "LoRA with repeated layers",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "fan_in_fan_out": "transposed LoRA",
    "coft": "constrained OFT",
    "block_share": "OFT with shared blocks",
}
MOST_NUMBER = 1e12  # of ranks and alphas: some trainers write ten billion where alpha is of no account
MOST_TERMS = 64  # of a series
MOST_WORDS = 300  # characters of what an adapter says of itself
MOST_NAMES = 20_000  # of a json that names every module; more is no training recipe
MOST_PATTERNS, LONGEST_PATTERN, MOST_CHOICES = 8, 300, 32  # of expressions, which a stranger may make slow


@dataclass(frozen=True, slots=True)
class AlphaRule:
    """Alpha and rank for modules whose alpha is no tensor of the file."""

    source: str  # where the numbers stand
    rank: float | None = None
    alpha: float | None = None
    ranks: Mapping[str, float] = field(default_factory=dict)  # pattern -> rank, the first that fits counts
    alphas: Mapping[str, float] = field(default_factory=dict)
    rooted: bool = False  # divided by the root of the rank

    def scale(self, module: str, rank: int | None) -> float | None:
        """alpha / rank for a module as the file spells it; None if the rule says nothing. rank: the tensors', if any."""
        alpha = first_fitting(self.alphas, module, self.alpha)
        divisor = rank or first_fitting(self.ranks, module, self.rank)
        if alpha is None or not divisor:
            return None
        return alpha / (math.sqrt(divisor) if self.rooted else divisor)


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """What stands beside the weights: in a json of the same folder, or in the file's header."""

    kind: str | None = None  # in PEFT's words; None: the keys tell
    rule: AlphaRule | None = None
    turning_terms: int | None = None  # OFT: length of the series; None: none
    base: str = ""  # the model that it says it was trained on
    trigger: str = ""  # what to write into the caption to call it, and where

    @classmethod
    def of(cls, path: Path, header: Mapping[str, str]) -> "AdapterSettings":
        """Those of the adapter file at `path`."""
        beside = path.with_name(PEFT_JSON)
        if path.name == PEFT_FILE and beside.is_file():
            settings = from_peft(read_json(beside), path.name)
        else:
            settings = cls(rule=rule_of_header(header, path.name))
        base = settings.base or base_of(header)
        return replace(settings, trigger=trigger_of(header)[:MOST_WORDS], base=base[:MOST_WORDS])


def from_peft(raw: Mapping[str, Any], name: str) -> AdapterSettings:
    """PEFT's adapter_config.json."""
    kind = f"{raw.get('peft_type')!s:.40}"
    if kind not in PEFT_KINDS:
        raise UnsupportedCheckpointError(f"{name} is a {kind} adapter, which is not read here.", MERGE)
    for setting, words in UNREAD.items():
        if raw.get(setting):
            raise UnsupportedCheckpointError(f"{name} is a {words}, which is not read here.", MERGE)
    return AdapterSettings(
        kind=kind,
        rule=None if kind == "OFT" else rule_of(raw, PEFT_JSON),
        turning_terms=terms_of(raw) if raw.get("use_cayley_neumann") else None,
        base=str(raw.get("base_model_name_or_path") or ""),
    )


def terms_of(raw: Mapping[str, Any]) -> int:
    """How long the series of an OFT is; a longer one than anybody writes would never end."""
    terms = number(raw, "num_cayley_neumann_terms", PEFT_JSON) or 5.0
    if not 1 <= terms <= MOST_TERMS:
        raise UnsupportedCheckpointError(
            f"{PEFT_JSON} gives an OFT a series of {terms:g} terms.", EXPORT_AGAIN
        )
    return int(terms)


def rule_of_header(header: Mapping[str, str], name: str) -> AlphaRule | None:
    """What diffusers writes into the header of a LoRA of the transformer."""
    if DIFFUSERS_HEADER not in header:
        return None
    try:
        raw = parse_json(header[DIFFUSERS_HEADER].encode())
    except ValueError as fault:
        raise UnsupportedCheckpointError(
            f"{name} has a header that cannot be read ({fault}).", EXPORT_AGAIN
        ) from fault
    items = raw.items() if isinstance(raw, dict) else ()
    own = {
        key.removeprefix(DIFFUSERS_PREFIX): value for key, value in items if key.startswith(DIFFUSERS_PREFIX)
    }
    return rule_of(own, f"the header of {name}") if own else None


def rule_of(raw: Mapping[str, Any], source: str) -> AlphaRule:
    """The rule in a LoraConfig, LoHaConfig or LoKrConfig."""
    alpha = "lora_alpha" if "lora_alpha" in raw else "alpha"
    rank = number(raw, "r", source)
    if rank is not None and rank <= 0:
        raise UnsupportedCheckpointError(f"{source} gives the adapter the rank {rank:g}.", EXPORT_AGAIN)
    return AlphaRule(
        source=source,
        rank=rank,
        alpha=number(raw, alpha, source),
        ranks=patterns(raw, "rank_pattern", source),
        alphas=patterns(raw, "alpha_pattern", source),
        rooted=bool(raw.get("use_rslora")),
    )


def number(raw: Mapping[str, Any], key: str, source: str) -> float | None:
    """A finite number of a json, if it is there."""
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_NUMBER:
        raise UnsupportedCheckpointError(
            f"{source} says {key} = {value!r:.80}, which is no number that a trainer writes.", EXPORT_AGAIN
        )
    return float(value)


def patterns(raw: Mapping[str, Any], key: str, source: str) -> dict[str, float]:
    """Regular expressions for modules, and the number that each stands for."""
    given = raw.get(key) or {}
    fits = isinstance(given, dict) and len(given) <= MOST_NAMES and all(map(is_pattern, given))
    if not fits or sum(not is_name(pattern) for pattern in given) > MOST_PATTERNS:
        raise UnsupportedCheckpointError(f"{source} has a {key} that cannot be read.", EXPORT_AGAIN)
    return {pattern: number(given, pattern, source) or 0.0 for pattern in given}


def is_name(text: str) -> bool:
    """Whether a pattern is simply the name of a module, or the end of one; its dots may be escaped."""
    return re.fullmatch(r"\w+(?:\\?\.\w+)*", text) is not None


def is_pattern(text: str) -> bool:
    """Whether a text is a name, or a regular expression that answers at once, whatever the name.

    Repeats of groups, and many repeats one after the other, take a time that grows without bound.
    """
    if is_name(text):
        return len(text) <= LONGEST_PATTERN
    repeats, groups = len(re.findall(r"(?<!\()[*+?{]", text)), text.count("(")
    if (
        len(text) > LONGEST_PATTERN
        or repeats > 3
        or groups > 1
        or text.count("|") > MOST_CHOICES
        or re.search(r"\)[*+{]", text)
    ):
        return False
    try:
        re.match(f"({text})", "")
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def first_fitting(by_pattern: Mapping[str, float], module: str, otherwise: float | None) -> float | None:
    """The number of the first pattern that is the whole of a module's name, or of its end after a dot."""
    name = unwrapped(module)
    for pattern, value in by_pattern.items():
        if is_name(pattern):
            fits = f".{name}".endswith("." + pattern.replace("\\.", "."))
        else:
            fits = re.match(rf"(?:.*\.)?(?:{pattern})$", name) is not None
        if fits:
            return value
    return otherwise


def trigger_of(header: Mapping[str, str]) -> str:
    """The words that call the adapter, as trainers note them in the header."""
    words = header.get("hot_step_trigger") or header.get("modelspec.trigger_phrase") or ""
    place = header.get("hot_step_trigger_position")
    return f"{words} ({place})" if words and place else words


def base_of(header: Mapping[str, str]) -> str:
    """The model that a header says the adapter was trained on."""
    return (
        header.get("ss_base_model_version")
        or header.get("base_model")
        or header.get("modelspec.architecture")
        or ""
    )
