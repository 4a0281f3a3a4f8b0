"""The example workflows that edit a song: other words, another style."""

from tools.workflows.edits import recording_of
from tools.workflows.page import GOLD, GREEN, RED, VIOLET, Item, Page, Wire
from tools.workflows.parts import (
    SAMPLER_HEIGHT,
    finish,
    listened,
    made_here,
    opening,
    recorded,
    text,
    told,
    upload,
    words,
)
from tools.workflows.plans import asked, planning, said

SEED = 3
NEW_LYRICS = """[Verse]
The engine hums before the dawn
My boots are full of sand
I count the lights till they are gone
From this forgotten land

[Chorus]
Carry me over the desert
Carry me under the stars"""


def edited(page: Page, load: Item, was: Item, shall: Item, source: Wire, **settings: object) -> Item:
    """Edit Song, with room for the picture it shows."""
    look = {"width": 300, "height": SAMPLER_HEIGHT}
    wires = {"source_conditions": was["conditions"], "target_conditions": shall["conditions"]}
    fields = {"seed": SEED, "control_after_generate": "fixed", **settings}
    return page.add("AceGraphEdit", look, model=load["model"], source=source, **wires, **fields)


def edit_words() -> Page:
    page = Page("edit_words", "Other words for a song")
    steps = [
        upload("the song whose words shall change"),
        "*New lyrics*: lines as long as the old ones, and the same [Verse] and [Chorus].",
        "*What was heard* stands in for the old words. Better: type the real lyrics into As it is.",
        "Too much of the music changes: *what_changes* words. The new words do not come: custom, *end* 0.8.",
    ]
    load, planner = planning(page, "The music stays, somebody sings something else.", steps)
    page.group("Recording", RED)
    audio = recorded(page)
    page.group("Understand", VIOLET, under="Recording")
    page.group("Words", GREEN)
    file = made_here(page, load, audio, under="Words")
    page.resume("Recording")
    latent = listened(page, load, file)["latent"]
    codes = page.add("AceGraphAudioToCodes", {"width": 300}, model=load["model"], latent=latent)
    page.resume("Understand")
    known = asked(page, "AceGraphUnderstand", planner, codes=codes["codes"])
    known.look["width"] = 300  # no wider than the group above
    page.resume("Words")
    same = {"source": latent, "width": 340, "height": 480}
    told(page, known["plan"], "What was heard")
    was = words(page, load, "As it is", **same, **said(known, "duration"))
    page.column()
    new = text(page, "New lyrics", NEW_LYRICS, 170)
    shall = words(page, load, "As it shall be", lyrics=new, **same, **said(known, "lyrics", "duration"))
    page.group("Edit", GOLD)
    played = edited(page, load, was, shall, latent, what_changes="whole")
    finish(page, load, shall, played, "edit_words")
    return page


def edit_style() -> Page:
    page = Page("edit_style", "Another style for a song")
    steps = [
        upload("the song to restyle"),
        "*Caption* in As it is: the style of the recording, in your words. It is half of the edit.",
        "*Caption* in As it shall be: the same, with another style. If somebody sings: the same *lyrics* in both, *instrumental* off.",
        "*what_changes* remix changes a lot; whole less; custom with your own *start* and *end*.",
    ]
    load = opening(page, "The tune stays in mind, the style changes.", steps)
    heard = recording_of(page, load)
    page.group("Words", GREEN)
    same = {"source": heard.latent, "instrumental": True, "height": 480}
    was = words(page, load, "As it is", caption="synth pop, bright synthesizers, drum machine", **same)
    page.column()
    caption = "acoustic folk, fingerpicked guitar, double bass, hand percussion"
    shall = words(page, load, "As it shall be", caption=caption, **same)
    page.group("Edit", GOLD)
    played = edited(page, load, was, shall, heard.latent, what_changes="remix")
    finish(page, load, shall, played, "edit_style")
    return page
