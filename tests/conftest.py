"""What every test gets: one thread (servers too), no network, the stored reference tensors and ComfyUI's source tree."""

import gc
import os
import sys
from collections.abc import Callable, Generator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import load_file
from torch import Tensor

from support.comfyui import fetch

GOLDEN = Path(__file__).parent / "fixtures" / "golden"


def pytest_configure() -> None:
    """One thread: sums are added in the same order everywhere, and parallel workers share the cores."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # servers: threads of two that wait for each other take all the cores
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.update(fetch.bytecode(fetch.comfyui_dir()))
    sys.dont_write_bytecode |= "PYTHONDONTWRITEBYTECODE" in os.environ
    calm = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("calm", calm)  # the same examples on every run, however busy the machine
    settings.load_profile("calm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage rests in slow tests: they do at length what others cover, and watching them doubles their time."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: looking through it for garbage again and again is half of the time that it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """What is there by now stays until the end: looking through it for garbage, again and again, is a tenth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_report_header() -> str:
    """Which versions of the oracles the run compares with."""
    return "oracles: " + ", ".join(
        f"{name} {version(name)}" for name in ("torch", "diffusers", "transformers")
    )


@pytest.fixture(scope="session")
def comfyui_dir() -> Path:
    """ComfyUI's source tree; a missing one is an error, so that no test is lost unseen."""
    found = fetch.comfyui_dir()
    if not (found / "main.py").is_file():
        pytest.fail(
            f"{found} holds no ComfyUI: run `python tests/support/comfyui/fetch.py`, or set COMFYUI_DIR."
        )
    return found


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Tensor]]:
    """Reads one file of stored reference tensors: golden("turbo")."""
    return lambda name: load_file(GOLDEN / f"golden_{name}.safetensors")
