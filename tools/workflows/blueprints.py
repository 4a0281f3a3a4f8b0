"""Writes subgraphs/*.json with the real editor: the commonest tasks as one node each.

    python -m tools.workflows.blueprints

Needs what `python tests/support/comfyui/fetch.py --env --browser` fetches. A file's name is the name that the editor shows.
"""

import json
import uuid
from typing import Any, NamedTuple

from support.comfyui import host as comfy_host
from support.comfyui.editor import BUILDER, Editor
from tools.workflows import recording
from tools.workflows.build import NAMESPACE, running_editor, version, written
from tools.workflows.page import GREEN, Item, Page, places
from tools.workflows.parts import CAPTION, LYRICS, loader

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


def started(name: str, title: str, first: int, **words: Any) -> tuple[Page, Item, Item]:
    """A page with loader and words.

    first: id of the first node; blueprints share no ids, for the newest frontend loses promoted widgets of nodes whose ids
    are already taken by another blueprint of the graph.
    """
    page = Page(name, title, first)
    page.group("Inside", GREEN)
    load = loader(page)
    page.column()
    conditions = page.add("AceGraphEncodeConditions", text_encoder=load["text_encoder"], **words)
    page.column()
    return page, load, conditions


def heard(page: Page, load: Item) -> tuple[Item, Item]:
    """The recording, which stays outside, and its latent."""
    page.group("Before", GREEN, under="Inside")
    audio = page.add("LoadAudio", audio=recording.NAME)
    page.resume("Inside")
    return audio, page.add("AceGraphOobleckEncode", vae=load["vae"], audio=audio["AUDIO"])


def finished(page: Page, conditions: Item, audio: Item, played: Item) -> None:
    """What takes the outputs, outside."""
    page.group("After", GREEN, under="Inside")
    page.add("AceGraphSaveAudio", audio=audio["audio"], conditions=conditions["conditions"])
    page.add("PreviewAny", source=played["report"])


def text2music() -> Blueprint:
    fields = {"caption": CAPTION, "lyrics": LYRICS}
    page, load, conditions = started("text2music", "ACE-Step Text to Music", 1001, **fields)
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=45.0)
    conditions.wires["source"] = silence["latent"]
    wires = {"conditions": conditions["conditions"], "source": silence["latent"]}
    played = page.add("AceGraphSampler", model=load["model"], **wires)
    decoded = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=played["latent"])
    finished(page, conditions, decoded, played)
    promoted = [
        *((load, "model"), (load, "text_encoder"), (load, "vae")),
        *((conditions, "caption"), (conditions, "lyrics"), (conditions, "instrumental")),
        *((silence, "seconds"), (silence, "batch_size"), (played, "seed")),
    ]
    return Blueprint(page, promoted, "A song from a description and lyrics (ACE-Step 1.5).")


def cover() -> Blueprint:
    fields = {"caption": "acoustic folk trio, warm room", "instrumental": True, "task": "cover"}
    page, load, conditions = started("cover", "ACE-Step Cover", 2001, **fields)
    _, latent = heard(page, load)
    conditions.wires["source"] = latent["latent"]
    codes = page.add("AceGraphAudioToCodes", model=load["model"], latent=latent["latent"])
    hints = page.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    wires = {
        "source": hints["latent"],
        "start_from": latent["latent"],
        "conditions": conditions["conditions"],
    }
    played = page.add("AceGraphSampler", model=load["model"], **wires)
    decoded = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=played["latent"])
    finished(page, conditions, decoded, played)
    promoted = [
        *((load, "model"), (load, "text_encoder"), (load, "vae")),
        *((conditions, "caption"), (conditions, "lyrics"), (conditions, "instrumental")),
        *((played, "noise_strength"), (played, "seed")),
    ]
    return Blueprint(page, promoted, "Melody and rhythm of a recording in another style (ACE-Step 1.5).")


def repaint() -> Blueprint:
    fields = {"caption": "synth pop with a saxophone solo", "instrumental": True, "task": "repaint"}
    page, load, conditions = started("repaint", "ACE-Step Repaint", 3001, **fields)
    audio, latent = heard(page, load)
    conditions.wires["source"] = latent["latent"]
    mask = page.add("AceGraphChunkMask", latent=latent["latent"], start=6.0, end=10.0)
    wires = {"source": latent["latent"], "mask": mask["mask"], "conditions": conditions["conditions"]}
    played = page.add("AceGraphSampler", model=load["model"], **wires)
    decoded = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=played["latent"])
    parts = {"new": decoded["audio"], "original": audio["AUDIO"], "mask": mask["mask"]}
    splice = page.add("AceGraphSplice", **parts)
    finished(page, conditions, splice, played)
    promoted = [
        *((load, "model"), (load, "text_encoder"), (load, "vae")),
        *((conditions, "caption"), (conditions, "lyrics"), (conditions, "instrumental")),
        *((mask, "start"), (mask, "end"), (played, "repaint_strength"), (played, "seed")),
    ]
    return Blueprint(page, promoted, "Some seconds of a recording anew, the rest bit for bit (ACE-Step 1.5).")


def edit() -> Blueprint:
    fields = {"caption": "the recording as it is, in your words", "lyrics": "[Verse]\n..."}
    page, load, was = started("edit", "ACE-Step Edit Song", 4001, **fields)
    _, latent = heard(page, load)
    was.wires["source"] = latent["latent"]
    was.look["title"] = "As it is"
    look = {"title": "As it shall be"}
    shall = page.add("AceGraphEncodeConditions", look, text_encoder=load["text_encoder"], **fields)
    shall.wires["source"] = latent["latent"]
    sides = {"source_conditions": was["conditions"], "target_conditions": shall["conditions"]}
    played = page.add("AceGraphEdit", model=load["model"], source=latent["latent"], **sides)
    decoded = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=played["latent"])
    finished(page, shall, decoded, played)
    promoted = [
        *((load, "model"), (load, "text_encoder"), (load, "vae")),
        *((was, "caption"), (was, "lyrics"), (shall, "caption"), (shall, "lyrics")),
        *((played, "what_changes"), (played, "seed")),
    ]
    about = (
        "Other words or another style for a recording: first as it is, then as it shall be (ACE-Step 1.5)."
    )
    return Blueprint(page, promoted, about)


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
