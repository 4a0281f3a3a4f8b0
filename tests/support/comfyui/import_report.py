"""Loads the pack into a fresh ComfyUI and prints, as JSON, everything that this did to the process and the disk.

python tests/support/comfyui/import_report.py COMFYUI BASE
"""

import builtins
import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from support.comfyui import host as comfy_host
from tools.words import snapshot as node_snapshot

HEAVY = ("transformers", "tokenizers", "av", "diffusers", "torchaudio", "torchvision", "scipy")
LOOKED_INTO = (
    "torch",
    "transformers",
    "numpy",
    "logging",
    "warnings",
    "json",
    "os",
    "asyncio",
    "safetensors",
)
GROWS = {"NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "LOADED_MODULE_DIRS", "EXTENSION_WEB_DIRS"}
WRITING = {"os.mkdir", "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate", "shutil.copyfile"}
OUTWARD = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec"}
Names = dict[str, dict[str, int]]


def attributes(comfyui: Path) -> Names:
    """Module or class -> attribute -> identity, of ComfyUI and of what a pack could be tempted to patch."""
    found: Names = {"builtins": identities(vars(builtins))}
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None) or ""
        wanted = Path(origin).is_relative_to(comfyui) or name.partition(".")[0] in LOOKED_INTO
        if not wanted or not hasattr(module, "__dict__"):  # torch.ops and the like are no modules
            continue
        found[name] = identities(vars(module))
        found |= {
            f"{name}:{kind.__qualname__}": identities(vars(kind)) for kind in classes_in(vars(module), name)
        }
    return found


def classes_in(namespace: Any, module: str, outer: str = "") -> Iterator[type]:
    """The classes that a module defines, those inside of classes too, as ComfyUI's layers are."""
    for value in list(namespace.values()):
        if isinstance(value, type) and (value.__module__, value.__qualname__) == (
            module,
            outer + value.__name__,
        ):
            yield value
            yield from classes_in(vars(value), module, f"{value.__qualname__}.")


def identities(namespace: Any) -> dict[str, int]:
    """A loaded submodule becomes an attribute of its package, which patches nothing."""
    return {key: id(value) for key, value in list(namespace.items()) if type(value) is not type(sys)}


def changes(before: Names, after: Names) -> list[str]:
    """Attributes that are others than before, of owners that were there before."""
    return sorted(
        f"{owner}.{key}"
        for owner, old in before.items()
        for key in old.keys() | after.get(owner, {}).keys()
        if old.get(key) != after.get(owner, {}).get(key) and not key.startswith(("__", "_abc_"))
    )


def contents() -> dict[str, Any]:
    """Registries and settings that live inside of objects rather than in names."""
    folders = sys.modules["folder_paths"].folder_names_and_paths
    return {
        "folders": {key: [list(paths), sorted(kinds)] for key, (paths, kinds) in folders.items()},
        "handlers": [repr(handler) for handler in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "filters": [repr(entry) for entry in warnings.filters],
        "environment": dict(os.environ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "path": list(sys.path),
        "random": torch.get_rng_state().sum().item(),
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "torch threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_initialized(),
    }


def watch(told: list[str]) -> None:
    """Note every write, connection and process from now on; Python's own caches aside."""

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            wants = isinstance(mode, str) and set(mode) & set("wax+")
            if wants or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                told.append(f"open {path}")
        elif event in WRITING | OUTWARD:
            told.append(f"{event} {arguments!r}")

    sys.addaudithook(heard)


def main() -> None:
    """Start, look, load, look again."""
    comfyui, base = (Path(argument).resolve() for argument in sys.argv[1:3])
    host, told, log = comfy_host.start(comfyui, base), [], comfy_host.Log()
    for name in HEAVY:  # ComfyUI has imported most of them; for the pack they do not exist
        for loaded in [key for key in sys.modules if key.partition(".")[0] == name]:
            del sys.modules[loaded]
        sys.modules[name] = None  # type: ignore[assignment]
    modules, names, before = set(sys.modules), attributes(comfyui), contents()
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.DEBUG)
    before["level"], before["handlers"] = logging.DEBUG, contents()["handlers"]
    watch(told)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        pack = comfy_host.load_pack(host)
    happened, after = list(told), contents()
    report = {
        "imported": sorted(
            {key.partition(".")[0] for key in set(sys.modules) - modules if not key.startswith(pack.__name__)}
            - set(sys.stdlib_module_names)
        ),
        "patched": [
            name for name in changes(names, attributes(comfyui)) if name.rpartition(".")[2] not in GROWS
        ],
        "changed": {key: [before[key], after[key]] for key in before if before[key] != after[key]},
        "happened": happened,
        "printed": printed.getvalue(),
        "logged": [[r.name, r.levelname, r.getMessage()] for r in log.records if r.name != "root"],
        "snapshot": node_snapshot.snapshot_of(node_snapshot.infos_of(host)),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
