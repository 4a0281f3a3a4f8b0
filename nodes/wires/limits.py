"""What several nodes allow, and what they refuse beside the rules of single inputs, which `nodes/host/values.py` keeps."""

from typing import Any

from ...acestep_core.errors import InvalidInputError
from ..host.tensor_values import places
from .sockets import ConditionList, ModelHandle
from .tensors import Latent

MOST_STEPS, MOST_GUIDANCE, MOST_SHIFT = 200, 30.0, 10.0  # of a run


def batch_indices(latent: Latent) -> dict[str, Any]:
    """Which songs of a larger batch these are, as ComfyUI's Latent From Batch notes it; empty if it is not noted."""
    index = latent.get("batch_index")
    return {} if index is None else {"batch_index": places("latent", index, len(latent["samples"]))}


def refuse_foreign(model: ModelHandle, conditions: ConditionList) -> None:
    """Conditions have the width of the checkpoint whose encoder wrote them."""
    widths = {condition.enc.shape[-1] for condition in conditions}
    if other := widths - {model.config.encoder_hidden_size}:
        raise InvalidInputError(
            f"The conditions have {min(other)} channels, and {model.name} works with {model.config.encoder_hidden_size}.",
            "Encode them with the text encoder of the Load ACE-Step that the model comes from.",
        )
