"""A real ComfyUI in this process with the pack and tiny models, and every node of ours with values it once had."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from support.comfyui import fetch, task_graphs
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from support.comfyui.host import Host
from support.comfyui.trial import CODES_FILE, Trial

CODES, FRAMES = 10, 75  # of a composed song, and of a reference
SMALLER: dict[str, dict[str, object]] = {  # where nodes would do the same again and again
    # Random planners write until their room is full.
    "planner.grammar": {"CAPTION_TOKENS": 8, "GENRE_TOKENS": 4},
    "planner.requests": {"LYRIC_TOKENS": 8, "codes_of": lambda _: CODES},
    "sound.reference_audio": {"PIECE_SAMPLES": FRAMES // 3 * 1920},
    "text.conditions": {"TIMBRE_FRAMES": FRAMES},
}


@dataclass
class Act:
    """One execution of a node, which can be done again."""

    kind: str
    node: Any  # the class that ComfyUI made for this execution
    values: dict[str, Any]
    execute: Callable[..., Any]

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return self.kind.removeprefix("AceGraph")

    def __call__(self, mode: AbstractContextManager[Any] = nullcontext()) -> tuple[Any, ...]:  # noqa: B008
        """Its outputs, as values that can be compared. mode: around the execution alone."""
        with torch.inference_mode():
            with mode:
                done = self.execute(self.node, **self.values)
            return tuple(plain(value) for value in done.args or ())


@dataclass
class Stage:
    """A host, the pack in it, and the acts of one graph in which every node occurs."""

    host: Host
    pack: ModuleType
    models: Path
    acts: list[Act]
    clean: dict[str, Any] = field(default_factory=dict)  # kind of a node -> what was measured of a clean run

    def module(self, name: str) -> Any:
        return self.host.module(name)

    def leftovers(self) -> list[Path]:
        """Half files anywhere in the folders that are written to."""
        return [path for kind in ("output", "temp") for path in (self.host.base / kind).rglob(".*.part")]


@contextmanager
def stage() -> Iterator[Stage]:
    """The one ComfyUI that a process can hold."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        base, models = Path(place, "comfyui"), comfy_models.build(Path(place, "tiny"))
        comfy_models.make_base(base, comfy_host.PACK)
        comfy_models.link(models, base / "models")
        host = comfy_host.start(fetch.comfyui_dir(), base)
        pack = comfy_host.load_pack(host)
        for module, figures in SMALLER.items():
            for name, figure in figures.items():
                setattr(host.module(f"{pack.__name__}.acestep_core.{module}"), name, figure)
        trial = Trial(host)
        try:
            yield Stage(host, pack, models, rehearsed(host, pack, trial))
        finally:
            trial.close()
            host.close()


def rehearsed(host: Host, pack: ModuleType, trial: Trial) -> list[Act]:
    """Run the graph of every node once, and keep what each was given."""
    acts, plain_executes = list[Act](), {node: vars(node)["execute"] for node in pack.nodes.NODES}

    def spied(execute: Callable[..., Any]) -> Any:
        @wraps(execute)
        def kept(node: Any, **values: Any) -> Any:
            acts.append(Act(node.define_schema().node_id, node, values, execute))
            return execute(node, **values)

        return classmethod(kept)

    for node, execute in plain_executes.items():
        node.execute = spied(execute.__func__)
    try:
        graph = host.graph()
        task_graphs.everything(graph, CODES_FILE)
        trial.plays(graph)
    finally:
        for node, execute in plain_executes.items():
            node.execute = execute
    return acts


def plain(value: Any) -> Any:
    """A value without what may differ between two runs that are the same: speeds, names of files, objects."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "items") and isinstance(value.items, tuple):  # codes
        return [plain(inner) for inner in value.items]
    if hasattr(value, "enc"):  # a condition
        return plain(value.enc)
    return value if isinstance(value, int | float) else None


def same(first: Any, second: Any) -> bool:
    """Whether two plain values are equal, tensors bit by bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second
