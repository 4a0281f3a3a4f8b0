"""The tensors that an adapter file holds for one module become the changes of its weight and its bias."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UnsupportedCheckpointError
from .formulas import (
    Change,
    Decomposed,
    Difference,
    Extent,
    Factor,
    Hadamard,
    Kronecker,
    LowRank,
    Mixed,
    Product,
    Target,
)
from .rotations import TurnedInputs, TurnedOutputs
from .training_settings import EXPORT_AGAIN, MERGE, AdapterSettings

MAKERS_OF_WEIGHTS = (  # each of these pieces alone tells the kind
    *("up", "down", "hada_w1_a", "lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a", "oft_R", "oft_blocks", "a1"),
    *("diff", "w_norm", "set_weight", "weight"),
)
MAKERS_OF_BIASES = ("diff_b", "b_norm", "bias")


class Scaled(NamedTuple):
    """How strongly a module acts, and who said so."""

    scale: float
    source: str


MOST_SCALE = 1e6  # no trainer multiplies by more, and the product has to stay a number
ASKED, IN_FILE, NOWHERE = "hand", "the file", ""


@dataclass(frozen=True, slots=True)
class ModuleTensors:
    """All pieces of one module, and how to read them."""

    name: str  # the file's, for its messages
    module: str  # as the file spells it
    keys: Mapping[str, str]  # piece -> key
    read: Callable[[str], Tensor]
    settings: AdapterSettings
    alpha: float = 0.0  # set by hand; 0: as the file says

    def get(self, piece: str) -> Tensor | None:
        """A piece that may be missing."""
        return self.read(self.keys[piece]) if piece in self.keys else None

    def need(self, piece: str) -> Tensor:
        """A piece without which the others are worth nothing."""
        if piece not in self.keys:
            have = ", ".join(sorted(self.keys.values())[:2])
            raise UnsupportedCheckpointError(
                f"{self.name} is incomplete: {have} lacks its other half.", EXPORT_AGAIN
            )
        return self.read(self.keys[piece])

    def scaled(self, rank: int | None) -> Scaled:
        """alpha / rank by the first that knows alpha: the user, the file's tensor, the settings; else 1."""
        if rank == 0:
            raise UnsupportedCheckpointError(f"{self.name} has the rank 0 at {self.module}.", EXPORT_AGAIN)
        found = self._scaled(rank)
        if abs(found.scale) > MOST_SCALE:
            raise UnsupportedCheckpointError(
                f"{self.name} multiplies {self.module} by {found.scale:g}, by the alpha of {found.source}.",
                EXPORT_AGAIN,
            )
        return found

    def _scaled(self, rank: int | None) -> Scaled:
        rule = self.settings.rule
        if self.alpha > 0 and rank:
            rooted = rule is not None and rule.rooted
            return Scaled(self.alpha / (rank**0.5 if rooted else rank), ASKED)
        if (tensor := self.get("alpha")) is not None:
            return Scaled(self.single(tensor) / rank if rank else 1.0, IN_FILE)
        scale = rule.scale(self.module, rank) if rule is not None else None
        return Scaled(1.0, NOWHERE) if scale is None or rule is None else Scaled(scale, rule.source)

    def single(self, alpha: Tensor) -> float:
        """The number in an alpha."""
        if alpha.numel() != 1:
            raise UnsupportedCheckpointError(
                f"{self.name} is damaged: {self.keys['alpha']} has the shape {list(alpha.shape)}.",
                EXPORT_AGAIN,
            )
        return float(alpha)

    def product(self, left: str, right: str, core: str) -> Product:
        """A factor that is stored as two, perhaps with a core between them."""
        return Product(self.need(left), self.need(right), self.get(core))

    def factor(self, name: str, core: str = "") -> Factor:
        """A factor that is stored whole or as two."""
        whole = self.get(name)
        return self.product(f"{name}_a", f"{name}_b", core) if whole is None else whole


class Made(NamedTuple):
    """What one module's pieces say."""

    weight: Change | None
    bias: Change | None
    kind: str
    rank: int | None = None
    scaled: Scaled | None = None  # None: there is nothing to scale


def made_of(tensors: ModuleTensors) -> Made:
    """The changes of a module's weight and bias."""
    whole = [piece for piece in MAKERS_OF_WEIGHTS if piece in tensors.keys]
    made = MAKERS[whole[0]](tensors) if whole else Made(None, None, "biases")
    if made.weight is not None and (lengths := lengths_of(tensors)) is not None:
        decomposed = Decomposed(made.weight, *lengths)
        made = made._replace(
            weight=decomposed, kind="DoRA" if made.kind == "LoRA" else f"{made.kind} with DoRA"
        )
    for piece in MAKERS_OF_BIASES:
        if (tensor := tensors.get(piece)) is not None:
            made = made._replace(bias=Target(tensor) if piece == "bias" else Difference(tensor))
    return made


def lengths_of(tensors: ModuleTensors) -> tuple[Tensor, bool] | None:
    """The lengths of a DoRA, and whether they are those of columns: PEFT knows rows alone, in LyCORIS the shape tells."""
    if (rows := tensors.get("lora_magnitude_vector")) is not None:
        return rows, False
    scale = tensors.get("dora_scale")
    return None if scale is None else (scale, scale.dim() > 1 and scale.shape[0] == 1 < scale.numel())


def low_rank(tensors: ModuleTensors) -> Made:
    """LoRA, LoCon."""
    up, down, middle = tensors.need("up"), tensors.need("down"), tensors.get("middle")
    rank = down.shape[0] if down.dim() else 0
    scaled = tensors.scaled(rank)
    return Made(LowRank(up, down, scaled.scale, middle), None, "LoRA", rank, scaled)


def hadamard(tensors: ModuleTensors) -> Made:
    """LoHa."""
    first = tensors.product("hada_w1_a", "hada_w1_b", "hada_t1")
    second = tensors.product("hada_w2_a", "hada_w2_b", "hada_t2")
    rank = first.right.shape[0]
    scaled = tensors.scaled(rank)
    return Made(Hadamard(first, second, scaled.scale), None, "LoHa", rank, scaled)


def kronecker(tensors: ModuleTensors) -> Made:
    """LoKr; one whose factors are both whole has no rank, and LyCORIS then asks for no alpha."""
    first, second = tensors.factor("lokr_w1"), tensors.factor("lokr_w2", "lokr_t2")
    ranks = [factor.right.shape[0] for factor in (second, first) if isinstance(factor, Product)]
    rank = ranks[0] if ranks else None
    scaled = tensors.scaled(rank)
    aligned = tensors.settings.kind != "LOKR" or len(second.shape) != 3
    return Made(Kronecker(first, second, scaled.scale, aligned), None, "LoKr", rank, scaled)


def mixed(tensors: ModuleTensors) -> Made:
    """GLoRA, unless it has a core, which no program writes for these layers."""
    if "bm" in tensors.keys:
        raise UnsupportedCheckpointError(
            f"{tensors.name} is a GLoRA with a core, which is not read here.", MERGE
        )
    a1, a2, b1, b2 = (tensors.need(piece) for piece in ("a1", "a2", "b1", "b2"))
    scaled = tensors.scaled(a2.shape[0])
    return Made(Mixed(a1, a2, b1, b2, scaled.scale), None, "GLoRA", a2.shape[0], scaled)


def turned_inputs(tensors: ModuleTensors) -> Made:
    """OFT of PEFT, whose json alone tells how the angles are meant."""
    if tensors.settings.kind != "OFT":
        raise UnsupportedCheckpointError(
            f"{tensors.name} is an OFT adapter without its adapter_config.json, which tells how to read it.",
            "Copy the whole folder that the trainer wrote.",
        )
    return Made(TurnedInputs(tensors.need("oft_R"), tensors.settings.turning_terms), None, "OFT")


def turned_outputs(tensors: ModuleTensors) -> Made:
    """The diagonal OFT of LyCORIS, where alpha limits the angles."""
    blocks = tensors.need("oft_blocks")
    if blocks.dim() != 3:
        raise UnsupportedCheckpointError(f"{tensors.name} is a BOFT adapter, which is not read here.", MERGE)
    limit = tensors.get("alpha")
    constraint = 0.0 if limit is None else tensors.single(limit)
    return Made(TurnedOutputs(blocks, constraint, tensors.get("rescale")), None, "OFT")


def added(piece: str) -> Callable[[ModuleTensors], Made]:
    """A difference in full."""
    return lambda tensors: Made(Difference(tensors.need(piece)), None, "full weights")


def replaced(piece: str) -> Callable[[ModuleTensors], Made]:
    """A new weight in full."""
    return lambda tensors: Made(Target(tensors.need(piece)), None, "full weights")


MAKERS: Mapping[str, Callable[[ModuleTensors], Made]] = {
    **dict.fromkeys(("up", "down"), low_rank),
    "hada_w1_a": hadamard,
    **dict.fromkeys(("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a"), kronecker),
    "oft_R": turned_inputs,
    "oft_blocks": turned_outputs,
    "a1": mixed,
    **{piece: added(piece) for piece in ("diff", "w_norm")},
    **{piece: replaced(piece) for piece in ("set_weight", "weight")},
}


def extent_of(change: Change) -> Extent | None:
    """The weights that a change was made for; None if its tensors are no matrices."""
    try:
        return change.extent
    except IndexError:
        return None


def is_whole(change: Change, shape: tuple[int, ...]) -> bool:
    """Whether the tensors of a change fit each other, tried on a weight without numbers."""
    try:
        return change.difference(torch.empty(shape, device="meta")).shape == shape
    except (RuntimeError, IndexError, ValueError):
        return False
