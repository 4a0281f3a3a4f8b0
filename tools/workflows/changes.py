"""The example workflows that edit a song: other words, another style."""

from tools.workflows.boxes import changed as boxes
from tools.workflows.boxes.tasks import of
from tools.workflows.page import Page
from tools.workflows.parts import BESIDE, NARROW, OWN, PLANNER_FILE, TALL, begin, drawn, end, model, recorded

NEW_LYRICS = """[Verse]
The engine hums before the dawn
My boots are full of sand
I count the lights till they are gone
From this forgotten land

[Chorus]
Carry me over the desert
Carry me under the stars"""


def edit_words() -> Page:
    steps = [
        OWN,
        "Draw on the wave what changes; at first all.",
        "*lyrics*: lines as long as the old ones.",
        "Too much changes: *words*. Too little: *remix*.",
        "Better: the real old words, in *As it is*.",
    ]
    what = "The music stays, somebody sings something else."
    more = [model(PLANNER_FILE, "text_encoders")]
    page = begin("edit_words", "Other words", what, steps, more=more)
    audio = recorded(page, NARROW)
    region = drawn(page, audio, "What is changed")
    page.open("Other words", BESIDE, TALL)
    task = boxes.other_words(page, region["audio"], region["mask"], NEW_LYRICS)
    page.close(task.shown)
    asked = [*of(audio, "audio"), *task.words]
    end(page, task, "edit_words", asked, ("Save", "What was heard"), text=task.more["heard"])
    return page


def edit_style() -> Page:
    steps = [
        OWN,
        "Draw on the wave what changes; at first all.",
        "*caption*: its style in your words; then another style.",
        "Sung: the same *lyrics* in both.",
        "*what_changes*: remix a lot, whole less.",
    ]
    page = begin("edit_style", "Another style", "The tune stays, the style changes.", steps)
    audio = recorded(page, NARROW)
    region = drawn(page, audio, "What is changed")
    page.open("Another style", BESIDE, TALL)
    captions = (
        "synth pop, bright synthesizers, drum machine",
        "acoustic folk, fingerpicked guitar, double bass, hand percussion",
    )
    task = boxes.other_style(page, region["audio"], region["mask"], captions)
    page.close(task.shown)
    end(page, task, "edit_style", form=[*of(audio, "audio"), *task.words])
    return page
