"""The planner under ComfyUI's memory management: loading it, waking it, and showing how fast it writes."""

import math
import time
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.errors import InvalidInputError
from ..acestep_core.layouts import TEXT_ROWS
from ..acestep_core.load import name_of
from ..acestep_core.memory import planning_bytes
from ..acestep_core.planner_files import (
    PLANNER_FILE,
    PLANNER_FOLDER,
    load_planner,
    load_planner_tokenizer,
    open_planner,
)
from ..acestep_core.scribe import Scribe
from ..acestep_core.token_choice import Choice
from ..acestep_core.writing import Listener
from . import comfy_runtime as runtime
from . import folders
from .comfy_runtime import AUTO, OPS, WEIGHT_DTYPES, Bar, Managed, Role
from .load import dtype_of, instead, kept_in, storage
from .schema import advanced, report_output, schema
from .sockets import Planner, PlannerHandle

NO_PLANNER = "put a planner into models/text_encoders"
KEYS = ("text_encoders", "checkpoints")
HINTS = ("5hz-lm", "1.7b", "4b")  # parts of the names that planners have
PROBE = "layers.0.self_attn.q_proj.weight"  # tells the dtype of a file
PAUSE = 0.1  # seconds between two moves of the bar
PLAIN = Choice()


class LoadPlanner(io.ComfyNode):
    """Open a planner in any layout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folders.register_folder()
        names = [*folders.folders_in(folders.PLANNER), *folders.files_in(*KEYS)]
        return schema(
            "loaders",
            node_id="AceGraphLoadPlanner",
            display_name="Load Planner (ACE-Step)",
            description="Opens the language model that plans songs: a folder in models/acestep, a file in models/text_encoders, "
            "or the planner inside an all-in-one file.",
            search_aliases=["language model", "LM", "5Hz"],
            inputs=[
                io.Combo.Input(
                    "planner",
                    options=sorted(names, key=unlikely) or [NO_PLANNER],
                    tooltip="The 1.7B planner is a good start; 0.6B is faster, 4B knows more.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=[AUTO, *WEIGHT_DTYPES],
                    default=AUTO,
                    tooltip="How weights are kept in memory. auto fits the machine; fp8 halves the memory and costs some quality.",
                ),
                advanced(
                    io.Boolean.Input(
                        "record_steps",
                        default=True,
                        tooltip="On NVIDIA cards a step is recorded once and replayed, which is faster. Turn it off if that fails.",
                    )
                ),
            ],
            outputs=[
                Planner.Output(
                    display_name="planner", tooltip="For Plan, Compose Codes, Understand, Inspire and Format."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, planner: str, weight_dtype: str, record_steps: bool = True) -> io.NodeOutput:
        wanted = dtype_of(weight_dtype, Role.PLANNER)
        if planner == NO_PLANNER:
            raise InvalidInputError(
                "No planner is installed.",
                f"Put {PLANNER_FILE} into models/text_encoders, or the folder {PLANNER_FOLDER} "
                "into models/acestep, and press R to refresh.",
            )
        folders.register_folder()
        files = open_planner(folders.path_of(planner, *KEYS))
        bar = Bar(2)
        computing = runtime.compute_dtype(Role.PLANNER, wanted)
        probe = PROBE if PROBE in files.weights else next(iter(files.weights))
        stored = storage(Role.PLANNER, files.weights.dtype(probe), wanted, computing)
        network = kept_in(load_planner(files, OPS, stored), wanted)
        bar.move(1, 2)
        managed = Managed(network, Role.PLANNER, computing)
        tokenizer = load_planner_tokenizer(files, folders.bundled_qwen())
        scribe = Scribe.of(managed.network, tokenizer, record_steps)
        bar.move(2, 2)
        said = f"{planner}: {managed} in {name_of(computing)} on {managed.device}"
        return io.NodeOutput(
            PlannerHandle(managed, scribe, planner), "\n".join([said, *instead(wanted, computing)])
        )


def unlikely(name: str) -> tuple[bool, str]:
    """Sorts what looks like a planner before what does not."""
    return not any(hint in name.lower() for hint in HINTS), name


def awake(handle: PlannerHandle, rows: int, tokens: int, candidates: int | None = None) -> Tensor:
    """Bring the planner's weights in, with room for so many tokens in each row; a tensor that shows where to compute.

    candidates: as `planning_bytes` counts them; None: those of a text.
    """
    runtime.stop_if_asked()
    handle.managed.loaded(bytes_for(handle, rows, tokens, candidates))
    return torch.empty(0, device=handle.managed.device, dtype=handle.managed.dtype)


def bytes_for(handle: PlannerHandle, rows: int, tokens: int, candidates: int | None = None) -> int:
    """What a run takes beside the weights, counted as `awake` does."""
    planner, managed = handle.scribe.planner, handle.managed
    fixed = (planner.sizes, rows, tokens, managed.dtype)
    plain = planning_bytes(*fixed, 0)
    if planner.table.dtype == managed.dtype and (candidates is None or managed.fits_beside(plain)):
        return plain  # the table is read where it lies
    return planning_bytes(*fixed, TEXT_ROWS if candidates is None else candidates)


class Meter:
    """Listens to a planner: moves the bar, tells the speed, and stops within one token."""

    def __init__(self, node: str | None, unit: str, known_end: bool) -> None:
        """known_end: whether as many will be written as there is room for."""
        self._bar, self._node, self._unit, self._known_end = Bar(1), node, unit, known_end
        self._first = self._done = 0  # tokens
        self._began = self._now = self._shown = -math.inf

    def __call__(self, done: int, total: int) -> None:
        runtime.stop_if_asked()
        self._now, self._done = time.perf_counter(), done
        if not self._first:
            self._first, self._began = done, self._now  # loading and reading are not writing
        if done == total or self._now - self._shown > PAUSE:
            self._shown = self._now
            self._bar.move(done, total)
            of = f" / {total}" if self._known_end else ""
            runtime.caption(self._node, f"{done}{of} {self.speed}".strip())

    def part(self, place: int, parts: int) -> Listener:
        """A listener for one of several equal parts of the work."""
        return lambda done, total: self(place * total + done, parts * total)

    @property
    def speed(self) -> str:
        """How fast it went after the first token; nothing if there was no second one."""
        written, spent = self._done - self._first, max(self._now - self._began, 1e-9)
        return f"{self._unit} at {written / spent:.1f} per second" if written else ""


def meter_of(node: type[io.ComfyNode], unit: str, known_end: bool = False) -> Meter:
    """A meter that shows itself under the running node."""
    return Meter(node.hidden.unique_id if node.hidden else None, unit, known_end)


def freedom_inputs(temperature: float = PLAIN.temperature) -> list[Any]:
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
        default=PLAIN.penalty,
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
            default=PLAIN.top_p,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="Unlikely choices are left out: those that stay make up this share together. 1: off.",
        ),
        io.Int.Input(
            "top_k",
            default=PLAIN.top_k,
            min=0,
            max=1000,
            tooltip="Only this many of the likeliest choices stay. 0: off.",
        ),
        io.Float.Input(
            "min_p",
            default=PLAIN.min_p,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Choices less likely than this share of the likeliest one are left out. 0: off.",
        ),
    ]


def guidance_inputs() -> list[Any]:
    """How strictly the words are followed, and what to stay away from."""
    return [
        advanced(
            io.Float.Input(
                "guidance",
                default=PLAIN.cfg,
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
