"""Networks with an adapter's changes, for use from Python alone; hosts that manage memory patch weights themselves."""

import copy
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from ..checkpoints.weights import shapes_of
from ..errors import InvalidInputError
from ..networks.audio_codes import AudioCodec
from ..networks.condition_encoder import ConditionEncoder
from ..networks.dit import DiffusionTransformer
from ..networks.text_encoder import TextEncoder
from ..planner.network import PlannerNetwork
from .adapter_file import AdapterFile
from .formulas import changed
from .keys import Part
from .scales import EVEN, AdapterScales

Network = TypeVar("Network", bound=nn.Module)
PARTS: dict[type[nn.Module], Part] = {
    DiffusionTransformer: Part.TRANSFORMER,
    ConditionEncoder: Part.CONDITIONS,
    AudioCodec: Part.CODEC,
    TextEncoder: Part.TEXT,
    PlannerNetwork: Part.PLANNER,
}


def with_adapter(
    network: Network, file: Path, strength: float = 1.0, scales: AdapterScales = EVEN, alpha: float = 0.0
) -> Network:
    """The network with an adapter in it; weights that it does not change are those of the given one, not copies."""
    part = PARTS.get(type(network))
    if part is None:
        raise InvalidInputError(
            f"A {type(network).__name__} takes no adapters.", "Give a transformer, an encoder or a planner."
        )
    fitted = AdapterFile.open(file).fit({part: shapes_of(network.state_dict())}, alpha)
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    adapted = copy.deepcopy(network, shared)
    with torch.no_grad():
        for acting, changes in fitted.by_strength(part, strength, scales).items():
            for name, change in changes.items():
                owner, _, ending = name.rpartition(".")
                weight = changed(adapted.get_parameter(name), change, acting)
                adapted.get_submodule(owner).register_parameter(
                    ending, nn.Parameter(weight, requires_grad=False)
                )
    return adapted
