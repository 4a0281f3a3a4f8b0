"""A real ComfyUI inside this process: started once, in folders of its own, with graphs run by its own executor."""

import asyncio
import gc
import importlib
import inspect
import itertools
import logging
import sys
import uuid
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from support.comfyui.graphs import Graph, Info, Node, Prompt

PACK = Path(__file__).resolve().parents[3]
BUILTIN = "comfy_extras"


class Progress(NamedTuple):
    """One move of a node's progress bar."""

    node: str
    value: float
    total: float
    preview: Any


class Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@dataclass
class Host:
    """The running ComfyUI. Its modules are looked up by name, for importing them early would start it."""

    base: Path
    server: Any
    events: list[tuple[str, dict[str, Any]]]

    def module(self, name: str) -> Any:
        return importlib.import_module(name)

    def info(self, class_type: str) -> Info:
        """What /object_info says of a node."""
        node = self.module("nodes").NODE_CLASS_MAPPINGS[class_type]
        if hasattr(node, "GET_NODE_INFO_V1"):
            return node.GET_NODE_INFO_V1()
        outputs = node.RETURN_TYPES
        return {
            "input": node.INPUT_TYPES(),
            "output": outputs,
            "output_name": getattr(node, "RETURN_NAMES", outputs),
        }

    def graph(self) -> Graph:
        return Graph(self.info)

    def interrupt(self) -> None:
        """Press Stop."""
        self.module("comfy.model_management").interrupt_current_processing(True)

    def close(self) -> None:
        self.server.loop.close()


def start(comfyui: Path, base: Path, cpu: bool = True) -> Host:
    """Import ComfyUI in the one order that works; `base` holds the sub-folders that it expects. cpu: as with --cpu."""
    sys.path.insert(0, str(comfyui))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = importlib.import_module("comfy.cli_args").args
        args.cpu, args.base_directory, args.disable_api_nodes = cpu, str(base), True
        importlib.import_module("utils.extra_config")  # once nodes.py is imported, `utils` is another module
        nodes = importlib.import_module("nodes")
        importlib.import_module("execution")
        server = importlib.import_module("server")
        asyncio.run(nodes.init_public_apis())
        prompt_server = server.PromptServer(asyncio.new_event_loop())
        failed = asyncio.run(nodes.init_builtin_extra_nodes())
    assert not failed, f"ComfyUI's own nodes cannot be imported: {failed}"
    gc.collect()
    gc.freeze()  # what lives by now stays
    events: list[tuple[str, dict[str, Any]]] = []
    prompt_server.send_sync = lambda event, data, sid=None: events.append((event, data))
    return Host(base, prompt_server, events)


def load_pack(host: Host, name: str = "acestep-graph") -> ModuleType:
    """Load the pack as ComfyUI does; what ComfyUI would only log is an error here."""
    nodes, folder, log = host.module("nodes"), str(host.base / "custom_nodes" / name), Log()
    logging.getLogger().addHandler(log)
    try:
        loaded = asyncio.run(nodes.load_custom_node(folder))
    finally:
        logging.getLogger().removeHandler(log)
    if not loaded:
        told = "\n".join(logging.Formatter().format(record) for record in log.records)
        raise ImportError(f"ComfyUI cannot load the pack:\n{told}")
    return sys.modules[folder.replace(".", "_x_")]


@dataclass(frozen=True)
class Run:
    """What became of a prompt."""

    refused: str  # why validation let nothing run; empty if something ran
    node_errors: Mapping[str, Any]  # of validation
    success: bool = False
    interrupted: bool = False
    failure: Mapping[str, Any] | None = (
        None  # node_id, node_type, exception_type, exception_message, traceback
    )
    outputs: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    ui: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ran: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    progress: tuple[Progress, ...] = ()
    base: Path = Path()

    def __getitem__(self, link: Sequence[Any]) -> Any:
        """The value of an output: run[decode["audio"]]."""
        node, slot = link
        return self.outputs[node][slot]

    @property
    def error(self) -> str:
        """The sentence that the failing node shows."""
        return self.failure["exception_message"].strip() if self.failure else ""

    def files(self, node: Node) -> list[Path]:
        """The files that an output node lists, in its order."""
        listed = itertools.chain.from_iterable(
            v for v in self.ui[node.id].values() if isinstance(v, list | tuple)
        )
        entries = [entry for entry in listed if isinstance(entry, Mapping) and "filename" in entry]
        return [self.base / entry["type"] / entry["subfolder"] / entry["filename"] for entry in entries]


class Runner:
    """Runs prompts one after the other; results stay cached between them as they do on a server."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._execution = host.module("execution")
        self.executor = self._execution.PromptExecutor(
            host.server,
            cache_type=self._execution.CacheType.CLASSIC,
            cache_args=defaultdict(int),  # whatever limits this host asks for, none of them
        )

    def __call__(self, graph: Graph | Prompt, stop_at: tuple[Node, float] | None = None) -> Run:
        """stop_at: press Stop when that node moves its progress bar to that value; 0 is when the node starts."""
        prompt = graph.prompt if isinstance(graph, Graph) else graph
        key = uuid.uuid4().hex
        valid, error, outputs, node_errors = asyncio.run(self._execution.validate_prompt(key, prompt, None))
        if not valid:
            return Run(refused=f"{error['message']} {error['details']}".strip(), node_errors=node_errors)
        progress = self._execute(prompt, key, outputs, stop_at)
        return self._result(prompt, node_errors, progress)

    def _execute(
        self, prompt: Prompt, key: str, outputs: Any, stop_at: tuple[Node, float] | None
    ) -> list[Progress]:
        moves: list[Progress] = []
        stop_node, stop_value = (stop_at[0].id, stop_at[1]) if stop_at else (None, 0)
        events = self._host.events

        def moved(move: Progress) -> None:
            moves.append(move)
            if move.node == stop_node and stop_value and move.value >= stop_value:
                self._host.interrupt()

        def sent(event: str, data: Any, sid: Any = None) -> None:
            events.append((event, data))
            if event == "executing" and data["node"] == stop_node and not stop_value:
                self._host.interrupt()

        events.clear()
        self._host.server.send_sync = sent
        with progress_bars(self._host, moved):
            self.executor.execute(prompt, key, {"client_id": "tests"}, outputs)
        return moves

    def _result(self, prompt: Prompt, node_errors: Mapping[str, Any], progress: Sequence[Progress]) -> Run:
        messages = dict(self.executor.status_messages)
        kept = asyncio.run(self._kept(prompt))
        return Run(
            refused="",
            node_errors=node_errors,
            success="execution_success" in messages,
            interrupted="execution_interrupted" in messages,
            failure=messages.get("execution_error"),
            outputs={node: [slot[0] for slot in entry.outputs] for node, entry in kept.items() if entry},
            ui=self.executor.history_result["outputs"],
            ran=tuple(
                data["node"] for event, data in self._host.events if event == "executing" and data["node"]
            ),
            cached=tuple(messages["execution_cached"]["nodes"]),
            progress=tuple(progress),
            base=self._host.base,
        )

    async def _kept(self, prompt: Prompt) -> dict[str, Any]:
        """What the cache holds of each node; newer hosts are asked for it with await."""
        found = {node: self.executor.caches.outputs.get(node) for node in prompt}
        return {node: await entry if inspect.isawaitable(entry) else entry for node, entry in found.items()}


@contextmanager
def progress_bars(host: Host, moved: Callable[[Progress], None]) -> Iterator[None]:
    """Tells every move of a bar as the node makes it, for newer hosts pass on no more moves than they can draw.

    What a host does pass on is shown, and is a place to stop, as in ComfyUI's main.py.
    """
    utils = host.module("comfy.utils")
    context = host.module("comfy_execution.utils").get_executing_context
    state = host.module("comfy_execution.progress").get_progress_state
    throw = host.module("comfy.model_management").throw_exception_if_processing_interrupted
    plain = utils.ProgressBar.update_absolute

    def update(bar: Any, value: float, total: float | None = None, preview: Any = None) -> None:
        end = bar.total if total is None else total
        moved(Progress(running(bar.node_id), min(value, end), end, preview))
        plain(bar, value, total, preview)

    def show(value: float, total: float, preview: Any, prompt_id: Any = None, node_id: Any = None) -> None:
        if node := running(node_id):
            state().update_progress(node, value, total, preview)
        throw()

    def running(named: str | None) -> str:
        now = context()
        return named or (now.node_id if now else "")  # empty where a test calls a node by itself

    utils.set_progress_bar_global_hook(show)
    utils.ProgressBar.update_absolute = update
    try:
        yield
    finally:
        utils.ProgressBar.update_absolute = plain
        utils.set_progress_bar_global_hook(None)
