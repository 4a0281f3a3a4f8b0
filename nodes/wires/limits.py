"""What several nodes refuse, because it arrived by wire: ComfyUI checks a number only where it is typed in."""

from typing import Any

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.timebase import MAX_SECONDS, frames_of, seconds_of
from .sockets import ConditionList, ModelHandle
from .tensors import Latent

MOST_STEPS, MOST_GUIDANCE, MOST_SHIFT = 200, 30.0, 10.0  # of a run
MOST_TIMES = 1001  # by wire


def within(value: float, least: float, most: float, what: str, unit: str = "") -> float:
    """The value, if it lies in the widget's range."""
    if not least <= value <= most:
        raise InvalidInputError(
            f"The {what} is {value:g}{unit}.", f"Set it from {least:g} to {most:g}{unit}."
        )
    return value


def refuse_too_long(frames: int, what: str) -> None:
    """Refuse what the model cannot play."""
    if frames > frames_of(MAX_SECONDS):
        raise InvalidInputError(
            f"The {what} lasts {seconds_of(frames):g} s, and the model plays up to {MAX_SECONDS:g} s.",
            "Shorten it, for example with Trim Audio Duration, and play the rest in another run.",
        )


def batch_indices(latent: Latent) -> dict[str, Any]:
    """Which songs of a larger batch these are, as ComfyUI's Latent From Batch notes it; empty if it is not noted."""
    index = latent.get("batch_index")
    if index is None:
        return {}
    songs = len(latent["samples"])
    if len(index) != songs:
        raise InvalidInputError(
            f"The latent holds {songs} songs and says {len(index)} places for them in a larger batch.",
            "Take them from the batch once more with Latent From Batch.",
        )
    return {"batch_index": list(index)}


def refuse_foreign(model: ModelHandle, conditions: ConditionList) -> None:
    """Conditions have the width of the checkpoint whose encoder wrote them."""
    widths = {condition.enc.shape[-1] for condition in conditions}
    if other := widths - {model.config.encoder_hidden_size}:
        raise InvalidInputError(
            f"The conditions have {min(other)} channels, and {model.name} works with {model.config.encoder_hidden_size}.",
            "Encode them with the text encoder of the Load ACE-Step that the model comes from.",
        )
