"""Writes subgraphs/*.json with the real editor: the commonest tasks as one node each.

    python -m tools.workflows.blueprints

Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches. A file's name is the name that the editor shows.
"""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from support.comfyui import host as comfy_host
from support.comfyui.editor import BUILDER, Editor
from tools.workflows import recording
from tools.workflows.boxes import tasks
from tools.workflows.boxes.tasks import Task
from tools.workflows.build import NAMESPACE, running_editor, version, written
from tools.workflows.layout import places
from tools.workflows.page import GREEN, Item, Page, Wire
from tools.workflows.parts import CAPTION, LYRICS

FOLDER = comfy_host.PACK / "subgraphs"
WIDTH = 380
Promoted = list[tuple[Item, str]]


class Blueprint(NamedTuple):
    """A page, of which the nodes of the first group become one node, and the widgets that are shown on it."""

    page: Page
    promoted: Promoted
    about: str

    @property
    def name(self) -> str:
        return self.page.title


def blueprint(name: str, title: str, first: int, about: str, inside: Callable[[Page], Task]) -> Blueprint:
    """A task as a node that runs alone: a preview inside is heard where nothing takes the song.

    first: id of the first node; blueprints share no ids, for the newest frontend loses promoted widgets of nodes whose ids
    are already taken by another blueprint of the graph.
    """
    page = Page(name, title, first)
    page.group("Inside", GREEN)
    task = inside(page)
    page.resume("Inside")
    page.add("AceGraphPreviewAudio", audio=task.audio, conditions=task.conditions["conditions"])
    page.group("After", GREEN, under="Inside")
    page.add("AceGraphSaveAudio", audio=task.audio, conditions=task.conditions["conditions"])
    page.add("PreviewAny", source=task.report)
    return Blueprint(page, task.shown, about)


def recorded(page: Page) -> Wire:
    """The recording, which stays outside."""
    page.group("Before", GREEN, under="Inside")
    audio = page.add("LoadAudio", audio=recording.NAME)["AUDIO"]
    page.resume("Inside")
    return audio


def text2music() -> Blueprint:
    about = "A song from a description and lyrics (ACE-Step 1.5)."
    words = {"caption": CAPTION, "lyrics": LYRICS}
    inside = partial(tasks.text_to_music, **words)
    return blueprint("text2music", "ACE-Step Text to Music", 1001, about, inside)


def cover() -> Blueprint:
    about = "Melody and rhythm of a recording in another style (ACE-Step 1.5)."
    words = {"caption": "acoustic folk trio, warm room", "instrumental": True}

    def inside(page: Page) -> Task:
        return tasks.cover(page, recorded(page), **words)

    return blueprint("cover", "ACE-Step Cover", 2001, about, inside)


def repaint() -> Blueprint:
    about = "Some seconds of a recording anew, the rest bit for bit (ACE-Step 1.5)."
    words = {"caption": "synth pop with a saxophone solo", "instrumental": True}

    def inside(page: Page) -> Task:
        return tasks.repaint(page, recorded(page), (6.0, 10.0), **words)

    return blueprint("repaint", "ACE-Step Repaint", 3001, about, inside)


def edit() -> Blueprint:
    about = (
        "Other words or another style for a recording: first as it is, then as it shall be (ACE-Step 1.5)."
    )
    words = {"caption": "the recording as it is, in your words", "lyrics": "[Verse]\n..."}

    def inside(page: Page) -> Task:
        return tasks.edit(page, recorded(page), **words)

    return blueprint("edit", "ACE-Step Edit Song", 4001, about, inside)


BLUEPRINTS = (text2music, cover, repaint, edit)


def made(editor: Editor, blueprint: Blueprint) -> dict[str, Any]:
    """The file of a blueprint, made in the editor; ids that it draws at random are exchanged for lasting ones."""
    page = blueprint.page
    items = [{**item, "marked": True} for item in page.specification(version())]
    sizes = editor.js(f"(items) => {BUILDER}.build(items)", items)
    spots, _ = places(page, {int(key): size for key, size in sizes.items()})
    editor.js(f"(spots) => {BUILDER}.place(spots, [], {{ scale: 1, offset: [0, 0] }}, [])", spots_of(spots))
    inside = [item.id for column in page.upper[0].columns for item in column]
    promoted = [[str(item.id), widget] for item, widget in blueprint.promoted]
    given = [inside, blueprint.name, promoted, WIDTH]
    text = editor.js(f"([ids, name, promoted, width]) => {BUILDER}.wrap(ids, name, promoted, width)", given)
    drawn = json.loads(text)["nodes"][0]["type"]
    file = json.loads(text.replace(drawn, str(uuid.uuid5(NAMESPACE, f"blueprint {page.name}"))))
    return {**file, "extra": {"BlueprintDescription": blueprint.about}}


def spots_of(spots: dict[int, tuple[float, float]]) -> dict[str, list[float]]:
    return {str(key): list(spot) for key, spot in spots.items()}


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    with running_editor() as editor:
        for make in BLUEPRINTS:
            blueprint = make()
            text = written(made(editor, blueprint))
            (FOLDER / f"{blueprint.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
