"""Writes web/pictures/forms.jpg: the forms that a newer frontend makes of our templates, side by side.

    python -m tools.templates.forms

Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches.
"""

import io
import tempfile
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from support.comfyui import fetch
from support.comfyui.editor import Editor, browser
from support.comfyui.server import Server
from tools import ROOT
from tools.templates.names import file_of
from tools.workflows.build import prepared

PICTURE = ROOT / "web" / "pictures" / "forms.jpg"
SHOWN = ("song", "instrumental", "inspire", "understand", "cover", "repaint", "extend", "stems")
COLUMNS, GAP, QUALITY = 4, 8, 80
WINDOW = {"width": 1200, "height": 1120}  # pixels; tall enough for the longest of them
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


def sheet(forms: list[Image.Image]) -> Image.Image:
    """All of them in rows."""
    width, height = forms[0].width + GAP, forms[0].height + GAP
    rows = -(-len(forms) // COLUMNS)
    made = Image.new("RGB", (COLUMNS * width - GAP, rows * height - GAP), (24, 24, 24))
    for place, form in enumerate(forms):
        made.paste(form, (place % COLUMNS * width, place // COLUMNS * height))
    return made


def main() -> None:
    """Open each form once and write the sheet."""
    with tempfile.TemporaryDirectory() as place, browser() as chromium:
        base = prepared(Path(place, "base"))
        with Server(fetch.comfyui_dir(), base, "--front-end-root", str(fetch.frontend_dir())) as server:
            editor = Editor(chromium, server, WINDOW)
            editor.new_style(True)
            forms = [form_of(editor, name) for name in SHOWN]
    sheet(forms).save(PICTURE, "JPEG", quality=QUALITY, optimize=True)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
