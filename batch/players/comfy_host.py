"""A real ComfyUI inside this process, without a server: its own folders of models and inputs, results in a folder of ours."""

import asyncio
import importlib
import logging
import os
import re
import shutil
import sys
import tempfile
import uuid
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acestep_core.errors import AceStepError, InvalidInputError, UnsupportedCheckpointError
from batch.graphs import ROOT, Prompt
from batch.widgets import Info

PREFIX = "acestep-batch-"  # of folders in the temp folder; the number of the process follows
OURS = "AceGraphLoad"  # whether a node of this name is known tells whether the pack is loaded


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a ComfyUI is, and what it would be started with."""

    comfyui: Path
    base: Path | None = None  # --base-directory
    cpu: bool = False

    def on_this_machine(self) -> "Installation":
        """Where this folder is not there, what COMFYUI_DIR names here."""
        own = os.environ.get("COMFYUI_DIR")
        return replace(self, comfyui=Path(own)) if own and not self.comfyui.is_dir() else self


class RowError(AceStepError):
    """What ComfyUI says of a prompt that it does not run, or that ended in a node."""


class ComfyUI:
    """ComfyUI, started once; prompts run one after the other, and what they load stays loaded."""

    def __init__(self, where: Installation) -> None:
        self.scratch = scratch_folder()
        start(where, self.scratch)
        self._nodes = importlib.import_module("nodes")
        self._folders = importlib.import_module("folder_paths")
        self._execution = importlib.import_module("execution")
        server = importlib.import_module("server").PromptServer(asyncio.new_event_loop())
        server.send_sync = lambda *_, **__: None
        asyncio.run(self._nodes.init_builtin_extra_nodes())
        asyncio.run(self._nodes.init_external_custom_nodes())
        if OURS not in self._nodes.NODE_CLASS_MAPPINGS:
            asyncio.run(self._nodes.load_custom_node(str(ROOT)))
        self._executor = self._execution.PromptExecutor(
            server,
            cache_type=self._execution.CacheType.CLASSIC,
            cache_args=defaultdict(int),  # whatever limits this ComfyUI asks for, none of them
        )

    def info(self, class_type: str) -> Info:
        """What /object_info says of a node."""
        node = self._nodes.NODE_CLASS_MAPPINGS.get(class_type)
        if node is None:
            raise InvalidInputError(
                f"This ComfyUI has no node {class_type}.",
                "Install its pack there, or take the node out of the graph.",
            )
        if hasattr(node, "GET_NODE_INFO_V1"):
            return node.GET_NODE_INFO_V1()
        title = self._nodes.NODE_DISPLAY_NAME_MAPPINGS.get(class_type, class_type)
        return {
            "input": node.INPUT_TYPES(),
            "display_name": title,
            "output_node": getattr(node, "OUTPUT_NODE", False),
        }

    def pack_version(self) -> str:
        """Of the pack whose nodes run here."""
        module = self._nodes.NODE_CLASS_MAPPINGS[OURS].__module__
        source = Path(str(sys.modules[module].__file__)).resolve()
        return version_of(source.parents[1])

    def run(self, prompt: Prompt, workflow: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Run a prompt; what its output nodes show, by node."""
        self._look_for_inputs(prompt)
        key = uuid.uuid4().hex
        valid, error, outputs, faults = asyncio.run(self._execution.validate_prompt(key, prompt, None))
        if not valid or faults:
            raise RowError(*refusal_of(error, faults, prompt))
        extra = {"client_id": "batch", **({"extra_pnginfo": {"workflow": workflow}} if workflow else {})}
        self._executor.execute(prompt, key, extra, outputs)
        messages = dict(self._executor.status_messages)
        if "execution_success" not in messages:
            raise RowError(*failure_of(messages.get("execution_error") or {}))
        return self._executor.history_result["outputs"]

    def _look_for_inputs(self, prompt: Prompt) -> None:
        """Refuse a file of the input folder that this machine does not have, and say where it was looked for."""
        for node in prompt.values():
            for name, value in node["inputs"].items():
                if not isinstance(value, str) or not is_input_file(self.info(node["class_type"]), name):
                    continue
                if not self._folders.exists_annotated_filepath(value):
                    raise RowError(
                        f"{value} is not in the input folder of this worker, {self._folders.get_input_directory()}.",
                        "Copy it there, or share the input folder among the workers.",
                    )

    def close(self) -> None:
        """Remove the folder of results."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def path_of(self, entry: Mapping[str, Any]) -> Path:
        """Where a file lies that an output node lists."""
        return (
            Path(self._folders.get_directory_by_type(entry["type"])) / entry["subfolder"] / entry["filename"]
        )


def start(where: Installation, scratch: Path) -> None:
    """Import ComfyUI in the one order that works, as its main.py does."""
    if not (where.comfyui / "main.py").is_file():
        raise UnsupportedCheckpointError(
            f"There is no ComfyUI in {where.comfyui}.",
            "Give the folder that holds its main.py with --comfyui.",
        )
    sys.path.insert(0, str(where.comfyui))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = importlib.import_module("comfy.cli_args").args
        args.cpu, args.disable_api_nodes = where.cpu, True
        if where.base:
            args.base_directory = str(where.base)
        extra = importlib.import_module("utils.extra_config")  # after nodes.py, `utils` is another module
        folders = importlib.import_module("folder_paths")
        if (paths := where.comfyui / "extra_model_paths.yaml").is_file():
            extra.load_extra_path_config(str(paths))
        folders.set_output_directory(str(made(scratch / "output")))
        folders.set_temp_directory(str(made(scratch / "temp")))
        folders.set_user_directory(str(made(scratch / "user")))
        args.database_url = f"sqlite:///{scratch / 'comfyui.db'}"
        nodes = importlib.import_module("nodes")
        importlib.import_module("execution")
        importlib.import_module("server")
        asyncio.run(nodes.init_public_apis())
    logging.getLogger().setLevel(logging.WARNING)


def made(folder: Path) -> Path:
    """A new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def scratch_folder() -> Path:
    """A folder of this process; those of processes that were killed are removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = left.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not is_running(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def is_running(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def is_input_file(info: Info, name: str) -> bool:
    """Whether a widget names a file of the input folder."""
    for part in ("required", "optional"):
        entry = (info["input"].get(part) or {}).get(name)
        if entry and len(entry) > 1:
            return any(entry[1].get(f"{kind}_upload") for kind in ("image", "audio", "video"))
    return False


def refusal_of(error: Any, faults: Mapping[str, Any], prompt: Prompt) -> tuple[str, str]:
    """Why ComfyUI does not run a prompt."""
    found = [
        f"{prompt[node]['class_type']}: {one['message']}: {one['details']}"
        for node, entry in faults.items()
        for one in entry["errors"]
    ]
    if not found and error:
        found = [f"{error['message']} {error['details']}".strip()]
    return "ComfyUI refuses the row. " + "; ".join(
        found
    ) + ".", "Look at these inputs of the graph and the row."


def failure_of(failure: Mapping[str, Any]) -> tuple[str, str]:
    """What the node said in which a prompt ended."""
    words = " ".join(str(failure.get("exception_message", "it was interrupted")).split())
    return f"{failure.get('node_type', 'ComfyUI')}: {words}", ""


def version_of(pack: Path) -> str:
    """The version that a copy of the pack says of itself."""
    text = (pack / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'(?m)^version = "([^"]*)"$', text)[0]
