"""ComfyUI's editor in a headless browser: opens templates, presses Run, reads what is on the screen."""

import base64
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Page

from support.comfyui import fetch
from support.comfyui.server import Server
from support.comfyui.stillness import CALM, FRAMES, SLEEP, STILL, WAKE
from tools.workflows.page import Rect

FRONTENDS = ("1.32.9", fetch.FRONTEND.partition("==")[2])  # what ComfyUI 0.3.75 brings, and the newest
SCREENSHOTS = fetch.HOST / "screenshots"  # of failures, and of everything where SCREENSHOTS is set
USUAL = ((FRONTENDS[0], "classic"), (FRONTENDS[1], "new"))  # as each draws nodes by itself
SHOOTING = bool(os.environ.get("SCREENSHOTS"))
WINDOW = {"width": 1600, "height": 1000}
NOISE = (  # of the frontends alone, without any pack
    *("user.css", "comfy.templates.json", "templates/index", "userdata", "Content Security Policy"),
    *("reading 'id'", "Jobs", "net::ERR", "favicon", "core workflow templates", "Failed to load resource"),
)
ADVICE = ("Prefer the legacy design?", "Switch back to Nodes 2.0")  # what a frontend says of itself
PATIENCE = 180.0  # seconds that a busy machine may take for a step
READY = "() => window.app && window.app.extensionManager && window.app.graph && window.app.canvas"
BUILDER = (Path(__file__).parent / "builder.js").read_text(encoding="utf-8")
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const canvas = document.querySelector("#graph-canvas");
  const where = { dataTransfer: transfer, clientX: 800, clientY: 500, bubbles: true, cancelable: true };
  for (const kind of ["dragenter", "dragover", "drop"]) canvas.dispatchEvent(new DragEvent(kind, where));
}"""
NODES = """() => {
  const { scale, offset } = app.canvas.ds;
  const corner = app.canvas.canvas.getBoundingClientRect();
  const html = Array.from(document.querySelectorAll("[data-node-id]"), (element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    const spot = [(x - corner.x) / scale - offset[0], (y - corner.y) / scale - offset[1]];
    return [Number(element.dataset.nodeId), ...spot, width / scale, height / scale];
  });
  return html.length ? html : app.graph.nodes.map((node) => [Number(node.id), ...node.getBounding()]);
}"""
PLACE = "() => app.extensionManager.workflow.activeWorkflow?.path"
LISTEN = """() => {  // anew where the page was loaded anew
  if (window.runsEnded) return;
  window.runsEnded = new Set();
  for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
    app.api.addEventListener(kind, ({ detail }) => window.runsEnded.add(detail.prompt_id));
}"""
OPENED = """([nodes, asHtml]) => {
  const shown = asHtml ? document.querySelectorAll("[data-node-id]").length : nodes;
  return app.graph.nodes.length === nodes && app.graph.nodes[0] !== window.nodeBefore && shown >= nodes;
}"""
GROUPS = "() => app.graph.groups.map((group) => [...group.pos, ...group.size])"
CLOSE_PANEL = """() => {  // which a server remembers as open
  const [settings, name] = [app.extensionManager.setting, "Comfy.RightSidePanel.IsOpen"];
  if (settings.get(name)) settings.set(name, false);
}"""
LANGUAGE = """(language) => {
  const settings = app.extensionManager.setting;
  if (settings.get("Comfy.Locale") === language) return false;
  window.nodeBefore = app.graph.nodes[0];
  settings.set("Comfy.Locale", language);
  return true;
}"""
Result = TypeVar("Result")


def until(ask: Callable[[], Result], what: str, seconds: float = PATIENCE) -> Result:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited in vain until {what}.")
        time.sleep(0.04)
    return answer


def apart(call: Callable[..., Result], *given: Any, **words: Any) -> Result:
    """Call in a thread of its own what has an event loop, such as Server.run: this thread's loop is the browser's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call, *given, **words).result()


class Editor:
    """One tab with the editor of a server."""

    def __init__(self, chromium: Browser, server: Server, window: dict[str, int] | None = None) -> None:
        self.server = server
        self.page: Page = chromium.new_page(viewport=window or WINDOW)
        self.page.set_default_timeout(1000 * PATIENCE)
        self.as_html: bool | None = None  # not known yet: a server remembers what was chosen
        self.errors: list[str] = []
        self.page.add_init_script(STILL + CALM)
        self.page.on("console", lambda said: self._hear(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._hear(str(error)))
        self.page.goto(f"http://127.0.0.1:{server.port}/")
        self.page.wait_for_function(READY)
        self.js(CLOSE_PANEL)

    def _hear(self, text: str) -> None:
        if not any(noise in text for noise in NOISE):
            self.errors.append(text)

    def js(self, expression: str, given: Any = None) -> Any:
        return self.page.evaluate(expression, given)

    def close(self) -> None:
        self.page.close()

    def sleep(self) -> None:
        """Draw nothing until it is woken: a tab draws its graph all the time, also where nobody looks."""
        self.js(SLEEP)

    def wake(self) -> None:
        self.js(WAKE)

    def frames(self, count: int) -> None:
        """Wait until so many more are drawn: a busy machine takes longer for them, and an idle one is not waited for."""
        self.js(FRAMES, count)

    def new_style(self, wanted: bool) -> None:
        """Nodes as HTML, or drawn on the canvas."""
        self.js("(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", wanted)
        self.as_html = wanted
        self.page.wait_for_timeout(300)

    @contextmanager
    def speaking(self, language: str) -> Iterator[None]:
        """In another language, as chosen in the settings; there must be a node in the graph."""
        before = self.js("() => app.extensionManager.setting.get('Comfy.Locale')")
        self._speak(language)
        try:
            yield
        finally:
            self._speak(before)

    def _speak(self, language: str) -> None:
        """Both frontends load the graph again for it."""
        if self.js(LANGUAGE, language):
            self.page.wait_for_function("() => app.graph.nodes[0] !== window.nodeBefore")
            self.page.wait_for_timeout(400)
            self.close_toasts()  # which say that names have changed

    def fit(self) -> None:
        """Show the whole graph."""
        self.js("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(600)

    # ------------------------------------------------------------------------------------------- graphs
    def load(self, workflow: dict[str, Any], form: bool = False) -> None:
        """Open a workflow as its file would be. form: in app mode, if it asks for that."""
        given = workflow.get("extra", {})
        extra = {key: value for key, value in given.items() if form or key != "linearMode"}
        workflow = {**workflow, "extra": extra}
        with self._opening(len(workflow["nodes"])):
            self.js("async (text) => { await app.loadGraphData(JSON.parse(text)); }", json.dumps(workflow))

    def open_template(self, name: str, nodes: int) -> None:
        """Through the dialog, as a user does."""
        with self._opening(nodes):
            self.page.get_by_role("button", name="Templates").first.click()
            card = self.page.get_by_test_id(f"template-workflow-{name}")
            until(lambda: bool(card.count()) or self._more_templates(), f"the template {name} is listed")
            card.scroll_into_view_if_needed()
            before = self.js(PLACE)
            card.click()
            # The place of the file changes last, and together with the form, if it asks for one.
            self.page.wait_for_function(f"(before) => ({PLACE})() !== before", arg=before)
            self.frames(2)
            self.leave_app_mode()

    def _more_templates(self) -> bool:
        """Newer frontends list more templates only where one scrolls to the last ones."""
        listed = self.page.get_by_test_id(re.compile("^template-workflow-"))
        if listed.count():
            listed.last.scroll_into_view_if_needed()
        return False

    def leave_app_mode(self) -> None:
        """Back to the graph, where a template has opened as a form."""
        if self.page.get_by_test_id("linear-widgets").count():
            skip = self.page.get_by_role("button", name="Skip")
            if skip.count():
                skip.first.click()
            self.js("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")

    @contextmanager
    def _opening(self, nodes: int) -> Iterator[None]:
        """Wait until another graph is there, of so many nodes, and nothing in it moves any more."""
        self.js("() => { window.nodeBefore = app.graph.nodes[0]; window.hurried = true; }")
        yield
        self.page.wait_for_function(OPENED, arg=[nodes, self.as_html], polling=50)
        until(self._at_rest, "no node moves any more")
        self.js("() => { window.hurried = false; }")

    def _at_rest(self) -> bool:
        """Whether every node stays where it is for a moment."""
        places = self.nodes()
        self.page.wait_for_timeout(300)
        return places == self.nodes()

    def prompt(self) -> dict[str, Any]:
        """What Run would send, and the workflow that it would store."""
        return json.loads(self.js("async () => JSON.stringify(await app.graphToPrompt())"))

    def set(self, kind: str, **values: Any) -> None:
        """Type values into every node of a kind, those inside of boxes included, and into what the boxes show of them."""
        self.js(
            """([kind, values]) => {
              const set = (graph) => {
                const own = graph.nodes.filter((n) => n.type === kind);
                const boxes = graph.nodes.filter((n) => n.subgraph && set(n.subgraph));
                for (const [name, value] of Object.entries(values)) {
                  for (const node of own) node.widgets.find((w) => w.name === name).value = value;
                  for (const w of boxes.flatMap((box) => box.widgets ?? [])) if (w.name === name) w.value = value;
                }
                return own.length + boxes.length > 0;
              };
              set(app.graph);
            }""",
            [kind, values],
        )

    # ------------------------------------------------------------------------------------------- runs
    def press_run(self) -> None:
        self.page.get_by_test_id("queue-button").first.click()

    def run(self, seconds: float = 2 * PATIENCE) -> dict[str, Any]:
        """Press Run and wait; -> the record of the history."""
        return self.ended(self.queued(self.press_run), seconds)

    def queued(self, press: Callable[[], None]) -> str:
        """The id of the run that a press begins."""
        self.js(LISTEN)
        with self.page.expect_request(lambda it: it.method == "POST" and it.url.endswith("/prompt")) as told:
            press()
        return told.value.response().json()["prompt_id"]

    def ended(self, key: str, seconds: float = 2 * PATIENCE) -> dict[str, Any]:
        """The record of a run, once it has ended and the page knows."""
        self.page.wait_for_function("(k) => runsEnded.has(k)", arg=key, timeout=1000 * seconds, polling=50)
        self.frames(4)
        return self.server.history(key)

    def drop(self, name: str, kind: str, content: bytes) -> None:
        """Drop a file on the canvas."""
        self.js(DROP, [name, kind, base64.b64encode(content).decode()])

    # ------------------------------------------------------------------------------------------- what is seen
    def toasts(self) -> list[str]:
        texts = [text.strip() for text in self.page.locator(".p-toast-message").all_inner_texts()]
        return [text for text in texts if not text.startswith(ADVICE)]

    def close_toasts(self) -> None:
        self.js("() => app.extensionManager.toast.removeAll?.()")

    def dialogs(self) -> list[str]:
        return [text.strip() for text in self.page.locator(".p-dialog:visible").all_inner_texts()]

    def close_dialogs(self) -> None:
        """Press Escape until none is seen: one that is still on its way out swallows the next."""

        def closed() -> bool:
            self.page.keyboard.press("Escape")
            self.frames(4)
            return not self.dialogs()

        until(closed, "every dialog is closed")

    def nodes(self) -> dict[int, Rect]:
        """Node id -> where it is on the canvas, with its title."""
        return {key: Rect(*numbers) for key, *numbers in self.js(NODES)}

    def outside(self) -> list[int]:
        """The nodes that stick out of every group."""
        groups = [Rect(*numbers) for numbers in self.js(GROUPS)]
        return [key for key, rect in self.nodes().items() if not any(group.holds(rect) for group in groups)]

    def show_error(self) -> None:
        """Open what hides the sentence of a failed node, where a frontend hides it."""
        for name in ("Show Report", "View details", "See Errors"):
            button = self.page.get_by_role("button", name=name)
            if button.count():
                button.first.click()

    def picture(self, name: str, wanted: bool = SHOOTING) -> None:
        """A screenshot to be looked at, if they are wanted: each takes a second."""
        if wanted:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
