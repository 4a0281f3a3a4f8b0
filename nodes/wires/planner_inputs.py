"""Inputs that the nodes of the planner share."""

from typing import Any

from comfy_api.latest import io

from ...acestep_core.planner.token_sampling import SamplingParams
from .schema import SEED_MAX, advanced
from .sockets import Planner

DEFAULTS = SamplingParams()


def sampling_inputs(temperature: float = DEFAULTS.temperature) -> list[Any]:
    """How freely tokens are chosen."""
    daring = io.Float.Input(
        "temperature",
        default=temperature,
        min=0.0,
        max=2.0,
        step=0.05,
        tooltip="How daring the planner is. 0: it always takes the likeliest, whatever the seed.",
    )
    penalty = io.Float.Input(
        "repetition_penalty",
        default=DEFAULTS.penalty,
        min=0.5,
        max=2.0,
        step=0.01,
        tooltip="Above 1: what was written already comes back less often. 1: off.",
    )
    return [advanced(widget) for widget in (daring, *filter_inputs(), penalty)]


def filter_inputs() -> list[Any]:
    """Which tokens are left out before one is chosen."""
    return [
        io.Float.Input(
            "top_p",
            default=DEFAULTS.top_p,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="Unlikely choices are left out: those that stay make up this share together. 1: off.",
        ),
        io.Int.Input(
            "top_k",
            default=DEFAULTS.top_k,
            min=0,
            max=1000,
            tooltip="Only this many of the likeliest choices stay. 0: off.",
        ),
        io.Float.Input(
            "min_p",
            default=DEFAULTS.min_p,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Choices less likely than this share of the likeliest one are left out. 0: off.",
        ),
    ]


def guidance_inputs() -> list[Any]:
    """How strictly the prompt is followed, and what to stay away from."""
    return [
        advanced(
            io.Float.Input(
                "guidance",
                default=DEFAULTS.cfg,
                min=0.0,
                max=10.0,
                step=0.1,
                tooltip="How strictly the words are followed. 1: off, and half the work.",
            )
        ),
        advanced(
            io.String.Input(
                "negative_prompt",
                default="",
                tooltip="A caption of what to stay away from; it counts only while guidance is on.",
            )
        ),
    ]


def planner_input() -> io.Input:
    """The planner's socket."""
    return Planner.Input("planner", tooltip="From Load Planner.")


def seed_input() -> io.Input:
    """Which of the possible answers it is."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=SEED_MAX,
        control_after_generate=True,
        tooltip="Another seed, another answer; the same one, the same.",
    )
