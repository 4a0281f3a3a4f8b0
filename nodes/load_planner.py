"""Loading a planner."""

from collections.abc import Callable

import torch
from comfy_api.latest import io

from ..acestep_core.checkpoints.kinds import Kind
from ..acestep_core.checkpoints.load import name_of
from ..acestep_core.checkpoints.planner_files import (
    PLANNER_FILE,
    PLANNER_FOLDER,
    PlannerFiles,
    load_planner,
    load_planner_tokenizer,
    open_planner,
)
from ..acestep_core.errors import InvalidInputError
from ..acestep_core.interface import AUTO
from ..acestep_core.planner import planner as core_planner
from ..acestep_core.planner.int8 import Int8Planner
from ..acestep_core.planner.network import PlannerNetwork
from .host import folders
from .host.node import Node
from .host.runtime import OPS, WEIGHT_DTYPES, Bar, Role, on_cpu
from .runs.precision import dtype_of, network, slow_remark
from .wires.schema import advanced, of_files, report_output, schema
from .wires.sockets import Planner, PlannerHandle

NO_PLANNER = "put a planner into models/text_encoders"
KEYS = ("text_encoders", "checkpoints")
HINTS = ("5hz-lm", "1.7b", "4b")  # parts of the names that planners have
INT8 = "int8"  # beside the dtypes that every network can be kept in
PROBE = "layers.0.self_attn.q_proj.weight"  # tells the dtype of a file


class LoadPlanner(Node):
    """Open a planner in any layout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folders.register_folder()
        names = [*folders.folders_in(Kind.PLANNER), *folders.files_in(*KEYS)]
        return schema(
            "loaders",
            node_id="AceGraphLoadPlanner",
            display_name="Load Planner (ACE-Step)",
            description="Opens the language model that plans songs: a folder in models/acestep, a file in models/text_encoders, "
            "or the planner inside an all-in-one file.",
            search_aliases=["language model", "LM", "5Hz"],
            inputs=[
                of_files(
                    io.Combo.Input(
                        "planner",
                        options=sorted(names, key=unlikely) or [NO_PLANNER],
                        tooltip="The 1.7B planner is a good start; 0.6B is faster, 4B knows more.",
                    )
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=[AUTO, *WEIGHT_DTYPES, INT8],
                    default=AUTO,
                    tooltip="How weights are kept in memory. auto fits the machine; fp8 halves the memory and costs some quality. "
                    "int8 is for planners on a processor without a card: weights are rounded to a byte each, and codes of one song or two "
                    "come sooner; whole batches gain nothing.",
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
        rounded = weight_dtype == INT8
        if rounded and not on_cpu(Role.PLANNER):
            raise InvalidInputError(
                f"int8 weights are for processors, and the planner runs on {Role.PLANNER.device}.",
                "Choose auto, or fp8_e4m3fn where memory is short.",
            )
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
        probe = PROBE if PROBE in files.weights else next(iter(files.weights))
        managed = network(Role.PLANNER, files.weights.dtype(probe), wanted, reader(files, rounded))
        bar.move(1, 2)
        tokenizer = load_planner_tokenizer(files, folders.bundled_qwen())
        parts = core_planner.Planner.of(managed.network, tokenizer)
        bar.move(2, 2)
        kept = ", weights in int8" if rounded else ""
        said = f"{planner}: {managed} in {name_of(managed.dtype)}{kept} on {managed.device}"
        return io.NodeOutput(
            PlannerHandle(managed, parts, planner, record_steps),
            "\n".join([said, *slow_remark(wanted, managed)]),
        )


def reader(files: PlannerFiles, rounded: bool) -> Callable[[torch.dtype | None], PlannerNetwork]:
    """What reads the network in a dtype; rounded: out of the file's own memory, for none of it is kept."""

    def read(dtype: torch.dtype | None) -> PlannerNetwork:
        return Int8Planner(load_planner(files, OPS)) if rounded else load_planner(files, OPS, dtype)

    return read


def unlikely(name: str) -> tuple[bool, str]:
    """Sorts what looks like a planner before what does not."""
    return not any(hint in name.lower() for hint in HINTS), name
