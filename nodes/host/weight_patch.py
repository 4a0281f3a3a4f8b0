"""An adapter's change of a weight, as ComfyUI keeps it and makes it: in place, or each time the weight is used."""

from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

import comfy.weight_adapter
import torch
from torch import Tensor

from ...acestep_core.adapters.formulas import Change, change_in_place, changed


class WeightPatch(comfy.weight_adapter.WeightAdapterBase):
    """A change taken apart into its tensors, which hosts may move and put into a new patch of this class."""

    name = "acestep-graph"

    def __init__(self, loaded_keys: set[str], weights: tuple[Any, ...]) -> None:
        self.loaded_keys = loaded_keys
        self.weights = weights

    @classmethod
    def of(cls, change: Change) -> "WeightPatch":
        """The patch that makes this change."""
        return cls(set(), taken_apart(change))

    def calculate_weight(
        self, weight: Tensor, _key: str, strength: float, *_host: object, **_more: object
    ) -> Tensor:
        """The weight, of the host's own copy and in its dtype, with the change in it."""
        change = put_together(self.weights)
        if weight.dtype is not torch.float32 or not weight.is_contiguous():
            return changed(weight, change, strength)
        change_in_place(weight, change, strength)
        return weight


def taken_apart(change: Any) -> tuple[Any, ...]:
    """The class and the fields of a change; those that are changes are taken apart as well."""
    values = (attrgetter(field.name)(change) for field in fields(change))
    return (type(change), *(taken_apart(value) if is_dataclass(value) else value for value in values))


def put_together(parts: tuple[Any, ...]) -> Any:
    """The change that was taken apart."""
    make, *values = parts
    return make(*(put_together(value) if isinstance(value, tuple) else value for value in values))
