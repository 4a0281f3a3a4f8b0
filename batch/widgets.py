"""What a node's schema says of its widgets: their order in the editor's files, kinds and limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .graphs import SEEDS

Info = Mapping[str, Any]  # a node as /object_info shows it
EMPTY = {
    "STRING": "",
    "INT": 0,
    "FLOAT": 0.0,
    "BOOLEAN": False,
}  # a widget without a default starts with this
CONTROLS = ("fixed", "increment", "decrement", "randomize")  # what may follow a seed: the editor's own value
UPLOADS = {
    "image_upload": 1,
    "video_upload": 1,
    "audio_upload": 2,
}  # values of a button and a player behind the required


@dataclass(frozen=True, slots=True)
class Spec:
    """A widget of a kind of node."""

    name: str
    kind: str
    default: Any
    options: tuple[Any, ...]
    low: float | None
    high: float | None
    is_seed: bool
    followed_by: int  # values of the editor's own


def specs_of(info: Info) -> tuple[list[Spec], list[Spec], int]:
    """Required and optional widgets, and how many values of the editor's own lie between them."""
    required, optional = (
        list(part_specs(info["input"].get(part) or {})) for part in ("required", "optional")
    )
    given = [spec[1] for spec in (info["input"].get("required") or {}).values() if len(spec) > 1]
    between = max([count for options in given for word, count in UPLOADS.items() if options.get(word)] or [0])
    return required, optional, between


def part_specs(inputs: Mapping[str, Any]) -> Iterator[Spec]:
    """The widgets among the inputs, in their order."""
    for name, entry in inputs.items():
        kind, options = entry[0], entry[1] if len(entry) > 1 and isinstance(entry[1], Mapping) else {}
        is_list = isinstance(kind, list | tuple)
        if options.get("forceInput") or not (is_list or kind == "COMBO" or kind in EMPTY):
            continue
        choices = (
            tuple(kind if is_list else options.get("options") or ()) if is_list or kind == "COMBO" else ()
        )
        controlled = options.get("control_after_generate", kind == "INT" and name in SEEDS)
        yield Spec(
            name,
            "COMBO" if is_list else kind,
            options.get(
                "default", choices[0] if choices else EMPTY.get(kind if isinstance(kind, str) else "")
            ),
            choices,
            *(options.get(word) if kind in ("INT", "FLOAT") else None for word in ("min", "max")),
            is_seed=bool(controlled) and kind == "INT",
            followed_by=(1 if kind == "INT" else 2) if controlled else 0,
        )


def aligned(
    info: Info, values: Sequence[Any] | Mapping[str, Any]
) -> list[tuple[Spec, Any, str | int | None]]:
    """Every widget, its value, and where among the values it is; one that the file is too old for has its default."""
    required, optional, between = specs_of(info)
    if isinstance(values, Mapping):  # some packs save names
        return [
            (s, values.get(s.name, s.default), s.name if s.name in values else None)
            for s in required + optional
        ]
    found: list[tuple[Spec, Any, str | int | None]] = []
    place = 0
    for part, gap in ((required, between), (optional, 0)):
        for spec in part:
            is_there = place < len(values)
            found.append((spec, values[place] if is_there else spec.default, place if is_there else None))
            place += 1 + spec.followed_by
        place += gap
    return found


def fits(spec: Spec, value: Any) -> bool:
    """Whether a value can belong to the widget; it tells a file whose values are in another order."""
    kinds = {"INT": (int,), "FLOAT": (int, float), "STRING": (str,), "BOOLEAN": (bool,)}
    if spec.kind not in kinds:
        return True
    return isinstance(value, kinds[spec.kind]) and isinstance(value, bool) == (spec.kind == "BOOLEAN")
