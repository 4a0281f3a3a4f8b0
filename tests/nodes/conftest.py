"""What tests of the nodes get: the pack inside a real ComfyUI, in process and as a server, with tiny models."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from support.comfyui import fetch
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from support.comfyui.graphs import Graph
from support.comfyui.host import Host, Runner
from support.comfyui.server import Server
from support.comfyui.trial import Trial

WITHOUT = "ACEGRAPH_WITHOUT_COMFYUI"  # set to 1 it skips these tests where ComfyUI was never fetched
PACKAGES = ("av", "aiohttp", "kornia", "scipy", "sentencepiece", "torchaudio", "torchsde", "torchvision")


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """ComfyUI's sources, with its packages installed; whatever is missing is an error, so that no test is lost unseen."""
    found = fetch.comfyui_dir()
    absent = not (found / "main.py").is_file()
    if absent and "COMFYUI_DIR" not in os.environ and os.environ.get(WITHOUT) == "1":
        pytest.skip(f"there is no ComfyUI, and {WITHOUT} is set")
    if absent:
        pytest.fail(
            f"{found} holds no ComfyUI: run `python tests/support/comfyui/fetch.py --env`, or correct COMFYUI_DIR."
        )
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        pytest.fail(
            f"ComfyUI's packages {missing} are missing here: run `python tests/support/comfyui/fetch.py --env` with this python."
        )
    return found


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoints as they were built, before they are linked into a models folder."""
    return comfy_models.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def host(comfyui: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """ComfyUI in this process, all of its own nodes loaded, models and pack in place, pack not loaded yet."""
    base = comfy_models.make_base(tmp_path_factory.mktemp("comfyui"), comfy_host.PACK)
    comfy_models.link(models, base / "models")
    started = comfy_host.start(comfyui, base)
    yield started
    started.close()


@pytest.fixture(scope="session")
def pack(host: Host) -> ModuleType:
    """The pack's module, loaded by ComfyUI: pack.nodes.latents.SilenceLatent, pack.acestep_core.timebase."""
    return comfy_host.load_pack(host)


@pytest.fixture
def graph(host: Host, pack: ModuleType) -> Graph:
    """An empty graph."""
    return host.graph()


@pytest.fixture
def run_graph(host: Host, pack: ModuleType) -> Iterator[Runner]:
    """Runs graphs; the cache lasts for one test, and so do loaded models."""
    yield Runner(host)
    host.module("comfy.model_management").unload_all_models()


@pytest.fixture
def short_texts(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner with random weights writes until its room is full, so that tests of other things give it little."""
    monkeypatch.setattr(pack.acestep_core.planner.grammar, "CAPTION_TOKENS", 8)
    monkeypatch.setattr(pack.acestep_core.planner.grammar, "GENRE_TOKENS", 4)
    monkeypatch.setattr(pack.acestep_core.planner.requests, "LYRIC_TOKENS", 8)


@pytest.fixture(scope="module")
def trial(host: Host, pack: ModuleType) -> Iterator[Trial]:
    """Runs graphs in which something is wrong."""
    started = Trial(host)
    yield started
    started.close()


@pytest.fixture(scope="session")
def server(comfyui: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ComfyUI as a process of its own, with the pack and the models."""
    base = comfy_models.make_base(tmp_path_factory.mktemp("server"), comfy_host.PACK)
    comfy_models.link(models, base / "models")
    with Server(comfyui, base) as started:
        yield started
