"""Writes web/docs/*/graph.jpg with the real editor: each node among its neighbours in an example workflow.

    python -m tools.workflows.pictures                                all of them
    python -m tools.workflows.pictures AceGraphPlan AceGraphSplice    some

The drawings beside them (drawing.svg) are made by hand. Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches.
"""

import gzip
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from PIL import Image

from support.comfyui import host as comfy_host
from support.comfyui.editor import Editor, until
from tools.templates.names import file_of
from tools.workflows.build import FOLDER, ONLY_THE_GRAPH, made, running_editor
from tools.workflows.page import BLUE, GOLD, GREEN, TITLE, VIOLET, Page, Rect
from tools.workflows.parts import decoded, listened, loader, recorded, sampler, told, words

DOCS = comfy_host.PACK / "web" / "docs"
PICTURE = "graph.jpg"
OLD = comfy_host.PACK / "tests" / "fixtures" / "old_templates.json.gz"
WHERE = {  # node -> the workflow that shows it best
    "AceGraphAudioToCodes": "cover",
    "AceGraphBatchConditions": "stems",
    "AceGraphChunkMask": "drawn_parts",
    "AceGraphCodesFromText": "codes",
    "AceGraphCodesToLatent": "codes",
    "AceGraphCodesToText": "codes",
    "AceGraphComposeCodes": "compose",
    "AceGraphEdit": "edit_style",
    "AceGraphEncodeConditions": "instrumental",
    "AceGraphExtend": "extend",
    "AceGraphFormat": "understand",
    "AceGraphInspire": "inspire",
    "AceGraphLoad": "text2music",
    "AceGraphLoadAdapter": "lora",
    "AceGraphLoadCodes": "stored_codes",
    "AceGraphLoadPlanner": "plan",
    "AceGraphLyricTimes": "karaoke",
    "AceGraphOobleckDecode": "text2music",
    "AceGraphOobleckEncode": "repaint",
    "AceGraphPickTake": "best_of_four",
    "AceGraphPlan": "plan",
    "AceGraphPreviewAudio": "four_takes",
    "AceGraphReferenceTimbre": "reference_timbre",
    "AceGraphRegion": "drawn_parts",
    "AceGraphRetake": "retake",
    "AceGraphSampler": "instrumental",
    "AceGraphSamplingExtras": "custom_schedule",
    "AceGraphSaveAudio": "text2music",
    "AceGraphSaveCodes": "codes",
    "AceGraphSaveLyrics": "karaoke",
    "AceGraphScoreTakes": "best_of_four",
    "AceGraphSilenceLatent": "text2music",
    "AceGraphSplice": "extend",
    "AceGraphToModel": "ksampler",
    "AceGraphSheet": "sheet",
    "AceGraphUnderstand": "understand",
}
PLAYED = ("text2music", "four_takes")  # run first, so that players and reports show something
SEED = 20  # shown after a run, which may have drawn another
LONG = {"steps": 200, "solver": "heun"}  # settings with which a run lasts
WIDTH, LOWEST, AROUND = 620, 270, 24  # pixels of a picture, and around its node
CORNER = 100  # pixels from the window's edges to the picture
QUALITY, HEAVIEST = 82, 45_000  # of a JPEG; bytes
READY = "() => [...document.querySelectorAll('.acegraph-player audio[src]')].every((a) => a.readyState === 4)"
PREVIEW = "() => Object.keys(app.nodePreviewImages).length > 0"
SHOW = """([id, x, y]) => {
  const node = app.graph.getNodeById(id);
  node.title = node.constructor.title;
  app.canvas.deselectAll();
  app.canvas.selectNode(node);
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [x, y];
  app.canvas.setDirty(true, true);
}"""


def four_takes() -> Page:
    """Preview Audio with several songs, which no example has."""
    page = Page("four_takes", "Four takes")
    page.group("Model", BLUE)
    load = loader(page)
    page.group("Song", GREEN)
    conditions = words(page, load, caption="warm indie pop, female lead vocal, acoustic guitar")
    page.group("Play", GOLD)
    silence = page.add("AceGraphSilenceLatent", {"width": 300}, model=load["model"], batch_size=4)
    played = sampler(page, load, conditions, silence["latent"])
    page.group("Listen", VIOLET)
    song = decoded(page, load, played)
    page.add("AceGraphPreviewAudio", {"width": 340, "height": 360}, audio=song["audio"])
    return page


def stored_codes() -> Page:
    """Load Codes at work; in the examples it is switched off."""
    page = Page("stored_codes", "Stored codes")
    page.group("Model", BLUE)
    load = loader(page)
    page.group("Codes", GREEN)
    stored = page.add("AceGraphLoadCodes", {"width": 340}, file="codes/morning_train_00001.json")
    told(page, stored["report"], "What was read")
    page.group("Play", GOLD)
    wires = {"model": load["model"], "codes": stored["codes"]}
    page.add("AceGraphCodesToLatent", {"width": 300}, **wires)
    return page


def drawn_parts() -> Page:
    """Region and Chunk Mask with the wave that they draw on, which the older pages have no room for."""
    page = Page("drawn_parts", "Drawn parts")
    page.group("Recording", BLUE)
    load = loader(page)
    audio = recorded(page)
    page.group("Parts", GREEN)
    look = {"width": 400, "height": 400}
    parts = page.add("AceGraphRegion", look, audio=audio["AUDIO"], start=6.0, end=10.0)
    page.group("Song", GOLD)
    latent = listened(page, load, parts["audio"])["latent"]
    page.group("Part", VIOLET)
    page.add("AceGraphChunkMask", look, latent=latent, start=2.0, end=12.0, regions="2.00-5.00, 9.00-12.00")
    return page


MADE = {make.__name__: make for make in (four_takes, stored_codes, drawn_parts)}


def read(name: str) -> dict[str, Any]:
    """An example workflow; where its nodes are in a box now, the one that showed them all."""
    with gzip.open(OLD, "rt", encoding="utf-8") as opened:
        old = json.load(opened)
    return (
        old[name]
        if name in old
        else json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))
    )


def opened(editor: Editor, name: str) -> dict[str, Any]:
    """The workflow in the editor, played where that shows more."""
    workflow = made(editor, MADE[name]()) if name in MADE else read(name)
    editor.load(workflow)
    if name in PLAYED:
        done = editor.run()
        if done["status"]["status_str"] != "success":
            sys.exit(f"{name} failed: {done['status']}")
        until(lambda: editor.js(READY), "the songs can be played")
        editor.set("AceGraphSampler", seed=SEED)
    return workflow


@contextmanager
def played_on(editor: Editor) -> Iterator[None]:
    """A run that lasts, from its first picture on; what it was set to is not seen."""
    editor.set("AceGraphSampler", **LONG)
    editor.press_run()
    until(lambda: editor.js(PREVIEW), "the Sampler shows its picture")
    editor.set("AceGraphSampler", steps=0, solver="euler", seed=SEED)
    yield
    editor.server.interrupt()
    until(lambda: not editor.server.get("/queue")["queue_running"], "the run has ended")


def shown(kind: str, workflow: dict[str, Any]) -> dict[str, Any]:
    """The node of a kind that is not switched off, if there is one."""
    nodes = [node for node in workflow["nodes"] if node["type"] == kind]
    return min(nodes, key=lambda node: node["mode"])


def excerpt(node: dict[str, Any], workflow: dict[str, Any]) -> Rect:
    """The part of the graph around a node, within the frames of the groups as far as they reach."""
    (x, y), (width, height) = node["pos"], node["size"]
    frames = [Rect(*group["bounding"]) for group in workflow["groups"]]
    high = max(LOWEST, TITLE + height + 2 * AROUND)
    left = min(x + (width - WIDTH) / 2, max(f.x + f.width for f in frames) + AROUND - WIDTH)
    left = max(left, min(f.x for f in frames) - AROUND)
    top = max(y - TITLE - (high - TITLE - height) / 2, min(f.y for f in frames) - AROUND)
    return Rect(round(left), round(top), WIDTH, round(high))


def picture(editor: Editor, node: dict[str, Any], workflow: dict[str, Any]) -> bytes:
    """A JPEG of a node, selected, and of what is around it."""
    part = excerpt(node, workflow)
    editor.js(SHOW, [node["id"], CORNER - part.x, CORNER - part.y])
    style = editor.page.add_style_tag(content=ONLY_THE_GRAPH)
    editor.page.wait_for_timeout(600)
    clip = {"x": CORNER, "y": CORNER, "width": part.width, "height": part.height}
    shot = Image.open(io.BytesIO(editor.page.screenshot(clip=clip))).convert("RGB")
    style.evaluate("(element) => element.remove()")
    for quality in range(QUALITY, 30, -4):
        kept = io.BytesIO()
        shot.save(kept, "JPEG", quality=quality, optimize=True)
        if kept.tell() < HEAVIEST:
            break
    return kept.getvalue()


def main() -> None:
    """Write the pictures that are asked for."""
    wanted = sys.argv[1:] or list(WHERE)
    with running_editor() as editor:
        editor.page.set_viewport_size({"width": WIDTH + 2 * CORNER, "height": 1100})
        editor.js("() => app.extensionManager.setting.set('Comfy.Graph.CanvasInfo', false)")
        for name in dict.fromkeys(WHERE[kind] for kind in wanted):
            workflow = opened(editor, name)
            for kind in (kind for kind in wanted if WHERE[kind] == name):
                with played_on(editor) if kind == "AceGraphSampler" else nullcontext():
                    shot = picture(editor, shown(kind, workflow), workflow)
                (DOCS / kind / PICTURE).write_bytes(shot)
                print(kind)


if __name__ == "__main__":
    main()
