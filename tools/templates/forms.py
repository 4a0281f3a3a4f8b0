"""Writes web/pictures: forms.jpg, the forms that a newer frontend makes of our templates, and editor.jpg, a part drawn on a wave.

    python -m tools.templates.forms

Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches.
"""

import io
import tempfile
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from support.comfyui import fetch
from support.comfyui.chromium import browser
from support.comfyui.editor import Editor
from support.comfyui.server import Server
from tools import ROOT
from tools.templates.names import file_of
from tools.workflows.build import prepared

PICTURES = ROOT / "web" / "pictures"
FORMS, EDITOR = PICTURES / "forms.jpg", PICTURES / "editor.jpg"
DRAWN = "repaint"  # the page that is seen as a graph
AROUND = 16  # pixels around its nodes
SHOWN = ("song", "instrumental", "inspire", "understand", "cover", "repaint", "extend", "stems")
COLUMNS, GAP, QUALITY = 4, 8, 80
WINDOW = {"width": 1200, "height": 1120}  # pixels; tall enough for the longest of them
ONLY_THE_GRAPH = """
  body * { visibility: hidden; }
  #graph-canvas, [data-node-id], [data-node-id] * { visibility: visible; }
"""
WIDE = {"width": 1600, "height": 900}
PANEL = "() => document.querySelector('[data-testid=linear-widgets]').parentElement.getBoundingClientRect().toJSON()"


def form_of(editor: Editor, name: str) -> Image.Image:
    """The right side of the window, from the title of the form to its button."""
    page = editor.page
    page.goto(f"http://127.0.0.1:{editor.server.port}/?acestep={quote(file_of(name))}")
    page.get_by_test_id("linear-widgets").first.wait_for()
    page.wait_for_timeout(2000)
    if (skip := page.get_by_role("button", name="Skip")).count():
        skip.first.click()
        page.wait_for_timeout(500)
    left = editor.js(PANEL)["x"]
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shot.crop((round(left), 40, shot.width, shot.height))


def graph_of(editor: Editor, name: str) -> Image.Image:
    """The nodes of a page, once its recording is drawn."""
    form_of(editor, name)
    page = editor.page
    page.set_viewport_size(WIDE)
    editor.leave_app_mode()
    page.wait_for_timeout(3000)
    editor.fit()
    page.add_style_tag(content=ONLY_THE_GRAPH)
    page.wait_for_timeout(600)
    scale, (x, y) = editor.js("() => [app.canvas.ds.scale, Array.from(app.canvas.ds.offset)]")
    nodes = editor.nodes().values()
    left, top = min(node.x for node in nodes), min(node.y for node in nodes)
    right, bottom = max(node.x + node.width for node in nodes), max(node.y + node.height for node in nodes)
    box = [(left + x) * scale, (top + y) * scale, (right + x) * scale, (bottom + y) * scale]
    corner = editor.js("() => app.canvas.canvas.getBoundingClientRect().toJSON()")
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shot.crop(
        tuple(
            round(edge + corner[axis] + away * AROUND)
            for edge, axis, away in zip(box, ("x", "y", "x", "y"), (-1, -1, 1, 1), strict=True)
        )
    )


def sheet(forms: list[Image.Image]) -> Image.Image:
    """All of them in rows."""
    width, height = forms[0].width + GAP, forms[0].height + GAP
    rows = -(-len(forms) // COLUMNS)
    made = Image.new("RGB", (COLUMNS * width - GAP, rows * height - GAP), (24, 24, 24))
    for place, form in enumerate(forms):
        made.paste(form, (place % COLUMNS * width, place // COLUMNS * height))
    return made


def main() -> None:
    """Open each form once and write the sheet, and a page as a graph."""
    with tempfile.TemporaryDirectory() as place, browser() as chromium:
        base = prepared(Path(place, "base"))
        with Server(fetch.comfyui_dir(), base, "--front-end-root", str(fetch.frontend_dir())) as server:
            editor = Editor(chromium, server, WINDOW)
            editor.new_style(True)
            forms = [form_of(editor, name) for name in SHOWN]
            drawn = graph_of(editor, DRAWN)
    for path, picture in ((FORMS, sheet(forms)), (EDITOR, drawn)):
        picture.save(path, "JPEG", quality=QUALITY, optimize=True)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
