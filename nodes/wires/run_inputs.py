"""Widgets that every node shares that plays the model: one range and one meaning of 0, whatever the node says of them."""

from comfy_api.latest import io

from .limits import MOST_GUIDANCE, MOST_SHIFT, MOST_STEPS
from .schema import SEED_MAX, advanced


def seed_input(tooltip: str) -> io.Input:
    """Where the noise of a run begins."""
    return io.Int.Input("seed", default=0, min=0, max=SEED_MAX, control_after_generate=True, tooltip=tooltip)


def steps_input(tooltip: str) -> io.Input:
    """Evaluations of a run, 0 for those of the checkpoint."""
    return io.Int.Input("steps", default=0, min=0, max=MOST_STEPS, tooltip=tooltip)


def guidance_input(tooltip: str) -> io.Input:
    """How strictly conditions are followed, 0 for what the checkpoint wants."""
    return io.Float.Input("guidance", default=0.0, min=0.0, max=MOST_GUIDANCE, step=0.1, tooltip=tooltip)


def shift_input(tooltip: str) -> io.Input:
    """How the steps are spread, 0 for what the checkpoint wants."""
    return advanced(io.Float.Input("shift", default=0.0, min=0.0, max=MOST_SHIFT, step=0.1, tooltip=tooltip))


def share_input(name: str, default: float, tooltip: str) -> io.Input:
    """A share: of the steps, of the time, of a strength."""
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)
