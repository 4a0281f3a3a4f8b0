"""What tests of workflows and of the editor get: servers with both frontends, and a browser, each started once."""

import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.comfyui import fetch
from support.comfyui import models as comfy_models
from support.comfyui.chromium import browser
from support.comfyui.editor import FRONTENDS, SHOOTING, USUAL, Editor
from support.comfyui.server import Server
from tools.workflows import build as example_workflows

SLOW_PACK = "tests_slow_runs"  # packs are loaded by name, and this one after ours
SLOW_RUNS = Path(__file__).parents[1] / "support" / "comfyui" / "slow_runs.py"
STYLES = {"classic": False, "new": True}  # nodes drawn on the canvas, or as HTML
NOWHERE = 800, 985  # under a graph; elsewhere a mouse may open what hides the button that runs
LONGEST = {f"test_{name}" for name in ("templates", "workflows", "regions", "demo", "blueprints", "player")}
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, or one is played alone at the end. Within a file, tests of one frontend and one style come one
    after the other: to change takes a second or more."""
    files = sorted(dict.fromkeys(item.path for item in items), key=lambda path: path.stem not in LONGEST)

    def place(item: pytest.Item) -> tuple[int, str, str]:
        asked = (
            item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        )
        return files.index(item.path), asked.get("frontend", ""), asked.get("style", "")

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember failures, of which a screenshot is taken."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


class Studio:
    """Starts what is asked for, once: a server and a tab for each frontend; they stay until the end."""

    def __init__(self, comfyui: Path, base: Path, stack: ExitStack) -> None:
        self._comfyui, self._base, self._stack = comfyui, base, stack
        self._servers: dict[str, Server] = {}
        self._tabs: dict[str, Editor] = {}
        self._seen: Editor | None = None
        self._tiny: Path | None = None
        self._browser: Browser | None = None

    def server(self, frontend: str = FRONTENDS[0]) -> Server:
        if frontend not in self._servers:
            newest = frontend != FRONTENDS[0]
            options = ("--front-end-root", str(fetch.frontend_dir())) if newest else ()
            self._tiny = self._tiny or comfy_models.build(self._base / "tiny")
            base = example_workflows.prepared(self._base / frontend, self._tiny)
            slow = base / "custom_nodes" / SLOW_PACK
            slow.mkdir()
            shutil.copyfile(SLOW_RUNS, slow / "__init__.py")
            self._servers[frontend] = self._stack.enter_context(Server(self._comfyui, base, *options))
        return self._servers[frontend]

    def tab(self, frontend: str, new_style: bool) -> Editor:
        """An editor with nodes as HTML, or drawn on the canvas. The other one sleeps: each draws its graph all the time."""
        if frontend not in self._tabs:
            server = self.server(frontend)
            self._browser = self._browser or self._stack.enter_context(browser())
            self._tabs[frontend] = Editor(self._browser, server)
        wanted = self._tabs[frontend]
        if wanted is not self._seen:
            if self._seen:
                self._seen.sleep()
            wanted.wake()
            self._seen = wanted
        if wanted.as_html != new_style:
            wanted.new_style(new_style)
        wanted.page.mouse.move(*NOWHERE)
        return wanted


@pytest.fixture(scope="session")
def studio(comfyui_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    if not fetch.chromium() or not (fetch.frontend_dir() / "index.html").is_file():
        pytest.fail(
            "There is no browser or no newest frontend: run `python tests/support/comfyui/fetch.py --env --browser`."
        )
    with ExitStack() as stack:
        yield Studio(comfyui_dir, tmp_path_factory.mktemp("studio"), stack)


@pytest.fixture(params=FRONTENDS, scope="session")
def frontend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=STYLES, scope="session")
def style(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def styled(studio: Studio, frontend: str, style: str, request: pytest.FixtureRequest) -> Iterator[Editor]:
    yield from _opened(studio, frontend, style, request)


@pytest.fixture
def usual(studio: Studio, frontend: str, request: pytest.FixtureRequest) -> Iterator[Editor]:
    """Each frontend as it draws nodes by itself, for what does not depend on that."""
    yield from _opened(studio, frontend, dict(USUAL)[frontend], request)


def _opened(studio: Studio, frontend: str, style: str, request: pytest.FixtureRequest) -> Iterator[Editor]:
    opened = studio.tab(frontend, STYLES[style])
    opened.errors.clear()
    opened.close_toasts()  # of a test before: they lie over the button that runs
    yield opened
    failed = request.node.stash.get(FAILED, False)
    opened.picture(re.sub(r"[^\w.]+", "_", request.node.name), wanted=failed or SHOOTING)
    opened.close_dialogs()
