"""How strongly an adapter acts on the parts of a network: by kind of layer, and by depth."""

import math
import re
from dataclasses import dataclass

from ..errors import InvalidInputError

GROUPS = ("self_attn", "cross_attn", "mlp")
LAYER = r"layers\.(\d+)\."
FACTOR = r"(-?\d{1,9}(?:\.\d{0,18})?|-?\.\d{1,18})"
SPAN = r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?:\s*" + FACTOR + r"\s*"
LAYERS_FORM = "Write layers like this: 0-11: 0.5, 12-23: 1. The first layer is 0; layers not named keep 1."


@dataclass(frozen=True, slots=True)
class LayerSpan:
    """Layers `first` to `last`, both included, and their factor."""

    first: int
    last: int
    factor: float


@dataclass(frozen=True, slots=True)
class AdapterScales:
    """Factors of an adapter's strength; `other` is whatever is neither attention nor MLP."""

    self_attn: float = 1.0
    cross_attn: float = 1.0
    mlp: float = 1.0
    other: float = 1.0
    layers: tuple[LayerSpan, ...] = ()

    def of(self, weight: str) -> float:
        """The factor for a weight of the transformer or the planner; the encoders' layers have no places here."""
        match group_of(weight):
            case "self_attn":
                factor = self.self_attn
            case "cross_attn":
                factor = self.cross_attn
            case "mlp":
                factor = self.mlp
            case _:
                factor = self.other
        if found := re.match(LAYER, weight):
            index = int(found[1])
            factor *= next((span.factor for span in self.layers if span.first <= index <= span.last), 1.0)
        return factor


EVEN = AdapterScales()


def group_of(weight: str) -> str:
    """The kind of layer that a weight belongs to, as `AdapterScales` names it."""
    return next((group for group in GROUPS if f".{group}." in weight), "other")


def layers_of(text: str) -> tuple[LayerSpan, ...]:
    """Spans as a user writes them; empty text: none."""
    spans = []
    for piece in text.split(",") if text.strip() else ():
        found = re.fullmatch(SPAN, piece)
        if found is None:
            raise InvalidInputError(f"The layers {piece.strip()[:80]!r} cannot be read.", LAYERS_FORM)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise InvalidInputError(f"The layers {first}-{last} end before they begin.", LAYERS_FORM)
        if any(span.first <= last and first <= span.last for span in spans):
            raise InvalidInputError(f"The layers {piece.strip()[:80]!r} are named twice.", LAYERS_FORM)
        spans.append(LayerSpan(first, last, float(found[3])))
    return tuple(spans)


def require_strength(value: float, what: str = "strength") -> float:
    """The value, if it is a number that weights can be multiplied with."""
    if not math.isfinite(value):
        raise InvalidInputError(f"The {what} is {value}.", "Set it to a number, 1 for as it was trained.")
    return value
