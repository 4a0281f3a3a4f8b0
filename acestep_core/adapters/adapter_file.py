"""Adapters as they lie on disk: LoRA, DoRA, LoHa, LoKr, OFT, GLoRA and full differences, read exactly or refused."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from torch import Tensor

from ..checkpoints.weights import Weights
from ..errors import UnsupportedCheckpointError
from .changes import (
    MAKERS_OF_BIASES,
    MAKERS_OF_WEIGHTS,
    Made,
    ModuleTensors,
    Scaled,
    extent_of,
    is_whole,
    made_of,
)
from .formulas import ADDED, Change, Extent
from .keys import Names, Part, Place, piece_of, whole_of
from .refusals import (
    PICKLES,
    Misfit,
    Unused,
    damaged,
    misfitting,
    not_an_adapter,
    opened,
    refuse_foreign_kinds,
    refuse_pickle,
    useless,
)
from .scales import EVEN, AdapterScales, require_strength
from .training_settings import EXPORT_AGAIN, MOST_NUMBER, PEFT_FILE, AdapterSettings

Shapes = Mapping[str, tuple[int, ...]]

ADAPTER_FILES = (
    PEFT_FILE,
    "lokr_weights.safetensors",
    "loha_weights.safetensors",
    "pytorch_lora_weights.safetensors",
)
WHOLE = ("weight", "bias")  # pieces that an ordinary checkpoint has as well
LOOSE = (
    "null_condition_emb",
    "scale_shift_table",
    "special_token",
    "special_tokens",
)  # no layer fetches them
MOST_WEIGHT = 1e6  # what training leaves is below 100; products of four such numbers still are numbers
TABLES = ("embed_tokens", "lm_head")  # of a planner, which reads single rows of them


@dataclass(frozen=True, slots=True, eq=False)
class FittedAdapter:
    """What an adapter does to the networks at hand."""

    name: str
    changes: Mapping[Part, Mapping[str, Change]]  # by the names of the networks' weights
    unused: tuple[Unused, ...]
    elsewhere: Mapping[Part, int]  # networks that are not at hand, and how many modules are theirs
    made: tuple[Made, ...]
    settings: AdapterSettings = field(default_factory=AdapterSettings)

    @property
    def order_matters(self) -> bool:
        """Whether a change depends on the weight that it meets, and so on the adapters before it."""
        every = (change for changes in self.changes.values() for change in changes.values())
        return any(not isinstance(change, ADDED) for change in every)

    @property
    def scaled(self) -> list[Scaled]:
        """The scales that occur, each once, strongest first."""
        return sorted({made.scaled for made in self.made if made.scaled is not None}, reverse=True)

    def by_strength(
        self, part: Part, strength: float, scales: AdapterScales = EVEN
    ) -> dict[float, dict[str, Change]]:
        """A network's changes, sorted by how strongly they act; those that do not act at all are left out."""
        sorted_out: dict[float, dict[str, Change]] = {}
        for weight, change in self.changes.get(part, {}).items():
            acting = require_strength(strength) * require_strength(scales.of(weight), "scale")
            if acting:
                sorted_out.setdefault(acting, {})[weight] = change
        return sorted_out


@dataclass(frozen=True, slots=True, eq=False)
class AdapterFile:
    """An adapter whose names are known and whose numbers are not read yet."""

    name: str
    weights: Weights
    settings: AdapterSettings
    modules: Mapping[str, Mapping[str, str]]  # module as the file spells it -> piece -> key
    strange: tuple[str, ...]  # keys of no adapter that is known

    @classmethod
    def open(cls, path: Path, name: str = "") -> "AdapterFile":
        """The adapter in a file, or in a folder as trainers write it. name: what messages call it; empty: as the file."""
        path = weights_in(path)
        weights, name = opened(path), name or path.name
        refuse_foreign_kinds(weights, name)
        settings = AdapterSettings.of(path, weights.metadata)
        modules, strange = grouped(weights, settings.kind is not None)
        if not modules:
            raise not_an_adapter(weights, name)
        return cls(name, weights, settings, modules, strange)

    def fit(self, networks: Mapping[Part, Shapes], alpha: float = 0.0) -> FittedAdapter:
        """The changes of these networks' weights, read into memory. alpha: instead of the file's; 0: the file's."""
        names = Names({part: module_names(shapes) for part, shapes in networks.items()})
        fitting = Fitting(self, networks, alpha)
        for module in self.modules:
            fitting.add(module, names.place(module))
        return fitting.done()

    def read(self, key: str) -> Tensor:
        """A tensor in memory of its own, so that the file can be closed; numbers that are none are refused."""
        tensor = self.weights.read(key).clone()
        largest = largest_of(tensor)
        if not largest <= (MOST_NUMBER if key.endswith(".alpha") else MOST_WEIGHT):
            what = (
                f"numbers as large as {largest:.3g}"
                if math.isfinite(largest)
                else "numbers that are not finite"
            )
            raise UnsupportedCheckpointError(
                f"{self.name} holds {what} (in {key}).",
                "Its training has diverged; use an earlier checkpoint of it.",
            )
        return tensor


class Fitting:
    """Collects what every module of a file does, and what does not fit."""

    def __init__(self, file: AdapterFile, networks: Mapping[Part, Shapes], alpha: float) -> None:
        self._file, self._networks, self._alpha = file, networks, alpha
        self._changes: dict[Part, dict[str, Change]] = {}
        self._unused = [Unused(key, "no adapter that is known") for key in file.strange]
        self._elsewhere: dict[Part, int] = {}
        self._made: list[Made] = []
        self._misfits: list[Misfit] = []

    def add(self, module: str, place: Place) -> None:
        """One module, which leads to this place."""
        if place.part not in self._networks:
            self._elsewhere[place.part] = self._elsewhere.get(place.part, 0) + 1
            return
        if why := unusable(place, self._networks[place.part]):
            self._unused.append(Unused(module, why))
            return
        try:
            made = made_of(self._tensors(module))
        except IndexError as fault:  # a number where a matrix should be
            raise damaged(self._file.name, module) from fault
        self._made.append(made)
        for ending, change in (("weight", made.weight), ("bias", made.bias)):
            if change is not None:
                self._put(module, place, ending, change)

    def _tensors(self, module: str) -> ModuleTensors:
        file = self._file
        return ModuleTensors(
            file.name, module, file.modules[module], cache(file.read), file.settings, self._alpha
        )

    def _put(self, module: str, place: Place, ending: str, change: Change) -> None:
        key, shapes = f"{place.module}.{ending}", self._networks[place.part]
        if key not in shapes:
            self._unused.append(Unused(f"{module}.{ending}", f"this layer has no {ending}"))
            return
        changes = self._changes.setdefault(place.part, {})
        if key in changes:
            raise UnsupportedCheckpointError(f"{self._file.name} changes {key} twice.", EXPORT_AGAIN)
        made_for, wanted = extent_of(change), Extent.of(shapes[key])
        if made_for is not None and not made_for.fits(wanted):
            self._misfits.append(Misfit(place, made_for, wanted))
        elif made_for is None or not is_whole(change, shapes[key]):
            raise damaged(self._file.name, module)
        changes[key] = change

    def done(self) -> FittedAdapter:
        """Everything, if something fits and nothing is of another shape."""
        if self._misfits:
            raise misfitting(self._file.name, self._misfits)
        if not any(self._changes.values()):
            raise useless(self._file.name, self._file.weights, self._elsewhere, self._unused)
        return FittedAdapter(
            self._file.name,
            self._changes,
            tuple(self._unused),
            self._elsewhere,
            tuple(self._made),
            self._file.settings,
        )


def weights_in(path: Path) -> Path:
    """The file itself, or the one that a trainer's folder holds."""
    if not path.is_dir():
        return path
    for name in ADAPTER_FILES:
        if (path / name).is_file():
            return path / name
    others = sorted(file for file in path.iterdir() if file.suffix in PICKLES)
    if others:
        refuse_pickle(others[0])
    raise UnsupportedCheckpointError(
        f"{path.name} holds no adapter weights ({', '.join(ADAPTER_FILES[:2])}, ...).", EXPORT_AGAIN
    )


def largest_of(tensor: Tensor) -> float:
    """The largest absolute number, in one pass; NaN if one is."""
    if not tensor.numel():
        return 0.0
    wide = tensor.bfloat16() if tensor.is_floating_point() and tensor.dtype.itemsize == 1 else tensor
    low, high = wide.aminmax()
    return max(abs(float(low)), abs(float(high)))


def grouped(keys: Iterable[str], has_settings: bool) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """The pieces of each module, and the keys that are no pieces; without pieces and settings it is no adapter."""
    pieces = {key: piece_of(key) for key in keys}
    makers = {piece.name for piece in pieces.values() if piece} & {*MAKERS_OF_WEIGHTS, *MAKERS_OF_BIASES}
    trained_in_full = {
        key: piece
        for key in keys
        if (makers or has_settings) and pieces[key] is None and (piece := whole_of(key))
    }
    modules: dict[str, dict[str, str]] = {}
    for key, piece in {**pieces, **trained_in_full}.items():
        if piece is not None:
            modules.setdefault(piece.module, {})[piece.name] = key
    acting = {
        module: found
        for module, found in modules.items()
        if {*found} & {*MAKERS_OF_WEIGHTS, *MAKERS_OF_BIASES}
    }
    taken = {key for found in acting.values() for key in found.values()}
    return acting, tuple(key for key in pieces if key not in taken)


def module_names(shapes: Shapes) -> set[str]:
    """Modules with weights, and parameters that stand alone."""
    return {key.rpartition(".")[0] for key in shapes} | set(shapes)


def unusable(place: Place, shapes: Shapes) -> str | None:
    """Why a module of a network at hand cannot be changed, if it cannot."""
    last = place.module.rpartition(".")[2]
    if last in LOOSE:
        return "a parameter of no layer"
    if place.part is Part.PLANNER and last in TABLES:
        return "a table that the planner reads row by row"
    known = any(f"{place.module}.{ending}" in shapes for ending in WHOLE)
    return None if known else f"the {place.part.value} has no such layer"
