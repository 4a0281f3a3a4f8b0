"""Writes example_workflows/*.json and their pictures with the real editor.

    python -m tools.workflows.build            all of them
    python -m tools.workflows.build cover      some

Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches.
"""

import json
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tomllib

from support.comfyui import fetch
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from support.comfyui.chromium import browser
from support.comfyui.editor import BUILDER, Editor
from support.comfyui.server import Server
from tools.templates import thumbnails
from tools.templates.names import file_of
from tools.workflows import adapters as workflow_adapters
from tools.workflows import changes as workflow_changes
from tools.workflows import edits as workflow_edits
from tools.workflows import hosted as workflow_hosted
from tools.workflows import listening as workflow_listening
from tools.workflows import plans as workflow_plans
from tools.workflows import recording
from tools.workflows import songs as workflow_songs
from tools.workflows import stems as workflow_stems
from tools.workflows.layout import extra_of, places
from tools.workflows.page import Page

FOLDER = comfy_host.PACK / "example_workflows"
PAGES = (  # in the order in which they are numbered
    *(workflow_songs.song, workflow_songs.song_chinese, workflow_songs.instrumental, workflow_plans.inspire),
    *(workflow_edits.cover, workflow_edits.repaint, workflow_edits.extend, workflow_stems.stems),
    *(workflow_stems.lego, workflow_stems.complete, workflow_songs.retake, workflow_songs.reference_timbre),
    *(workflow_changes.edit_words, workflow_changes.edit_style, workflow_edits.cover_strengths),
    workflow_songs.two_styles,
    *(workflow_plans.plan, workflow_plans.compose, workflow_plans.understand),
    *(workflow_adapters.lora, workflow_adapters.two_loras, workflow_adapters.with_and_without),
    *(workflow_listening.karaoke, workflow_listening.best_of_four),
    *(workflow_songs.text2music, workflow_edits.codes, workflow_songs.custom_schedule),
    *(workflow_hosted.ksampler, workflow_hosted.comfy_sampler, workflow_songs.sheet),
)
NAMESPACE = uuid.UUID("6f0f8a52-5f6e-4c5c-9a55-0ace57e90000")
ONLY_THE_GRAPH = """
  body * { visibility: hidden; }
  #graph-canvas, .dom-widget, .dom-widget * { visibility: visible; }
"""


def version() -> str:
    """Of the pack."""
    with (comfy_host.PACK / "pyproject.toml").open("rb") as opened:
        return tomllib.load(opened)["project"]["version"]


def prepared(folder: Path, tiny: Path | None = None) -> Path:
    """A base directory with the pack, the tiny models under the published names, and the demo recording.

    tiny: where they were built before.
    """
    base = comfy_models.make_base(folder / "base", comfy_host.PACK)
    comfy_models.link(tiny or comfy_models.build(folder / "tiny"), base / "models")
    recording.write(base / "input")
    return base


@contextmanager
def running_editor() -> Iterator[Editor]:
    """An editor with the frontend that ComfyUI 0.3.75 brings; it ends with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(fetch.comfyui_dir(), prepared(folder)))
        yield Editor(stack.enter_context(browser()), server)


def written(workflow: dict[str, Any]) -> str:
    """A workflow as its file holds it."""
    return json.dumps(workflow, indent=2, ensure_ascii=False) + "\n"


def made(editor: Editor, page: Page) -> dict[str, Any]:
    """The workflow, built in the editor and read back from it."""
    items = page.specification(version())
    found = editor.js(f"([items, boxes]) => {BUILDER}.build(items, boxes)", [items, page.boxed()])
    sizes = {int(key): size for key, size in found.items()}
    spots, groups = places(page, sizes)
    collapsed = [item.id for item in page.items if item.look.get("collapsed")]
    shown = {key: sizes[key] for key in spots if key not in collapsed}
    right = max(spots[key][0] + width for key, (width, _) in shown.items())
    bottom = max(spots[key][1] + height for key, (_, height) in shown.items())
    extra = extra_of(page, groups, right, bottom)
    given = [{str(key): list(spot) for key, spot in spots.items()}, groups, extra["ds"], collapsed]
    editor.js(f"([spots, groups, view, collapsed]) => {BUILDER}.place(spots, groups, view, collapsed)", given)
    editor.page.wait_for_timeout(300)
    text = editor.js(f"() => {BUILDER}.text()")
    for box in page.boxes:
        (drawn,) = (node["type"] for node in json.loads(text)["nodes"] if node["id"] == box.id)
        text = text.replace(drawn, str(uuid.uuid5(NAMESPACE, f"{page.name} {box.id}")))
    workflow = json.loads(text)
    return {**workflow, "id": str(uuid.uuid5(NAMESPACE, page.name)), "extra": extra}


def main() -> None:
    """Write the workflows that are asked for."""
    wanted = [make() for make in PAGES if not sys.argv[1:] or make.__name__ in sys.argv[1:]]
    FOLDER.mkdir(exist_ok=True)
    with running_editor() as editor:
        editor.js("() => app.extensionManager.setting.set('Comfy.Graph.CanvasInfo', false)")
        for page in wanted:
            workflow = made(editor, page)
            (FOLDER / f"{file_of(page.name)}.json").write_text(written(workflow), encoding="utf-8")
            thumbnails.write(page.name)
            print(page.name)


if __name__ == "__main__":
    main()
