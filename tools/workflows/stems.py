"""The example workflows for single tracks, which need a base checkpoint."""

from tools.workflows.boxes import tasks as boxes
from tools.workflows.page import Page
from tools.workflows.parts import (
    BASE_FILE,
    BESIDE,
    NARROW,
    OWN,
    TALL,
    WIDE,
    begin,
    drawn,
    end,
    recorded,
    room_for,
)

STEMS = (
    *("vocals", "backing_vocals", "drums", "percussion", "bass", "guitar"),
    *("keyboard", "strings", "synth", "brass", "woodwinds", "fx"),
)


def stems() -> Page:
    steps = [
        OWN,
        "*tracks*: a song for each.",
        "In the player, click one stem after the other; X goes back.",
    ]
    page = begin("stems", "Stems", "The tracks of a recording, each alone.", steps, BASE_FILE)
    audio = recorded(page, NARROW)
    page.column()
    page.open("Stems", WIDE, 400)
    task = boxes.tracks(page, audio["AUDIO"], "extract", caption="synth pop", tracks=", ".join(STEMS))
    page.close(task.shown)
    room_for(end(page, task, "stems", form=[*boxes.of(audio, "audio"), *task.words]), 3)
    return page


def lego() -> Page:
    steps = [
        OWN,
        "*tracks*: what is added.",
        "Draw on the wave where it plays.",
        "*caption*: how it plays.",
    ]
    what = "A new instrument that fits to a recording, alone and mixed with it."
    page = begin("lego", "Add a track", what, steps, BASE_FILE)
    audio = recorded(page, NARROW)
    region = drawn(page, audio, "Where it plays")
    page.open("New track", BESIDE, TALL)
    caption = "funky rhythm guitar, clean tone, sixteenth-note strumming, tight and dry"
    task = boxes.tracks(page, region["audio"], "lego", region, caption=caption, tracks="guitar")
    page.close(task.shown)
    both = {"title": "Both together", "width": NARROW}
    asked = [*boxes.of(audio, "audio"), *boxes.of(region, "start", "end"), *task.words]
    end(page, task, "lego", form=asked, also=(both, task.more["both"]))
    return page


def complete() -> Page:
    steps = [
        OWN,
        "*tracks*: who joins in; *start*, *end*: where.",
        "*caption*: the whole arrangement.",
    ]
    page = begin(
        "complete", "A band around a track", "An arrangement around a single track.", steps, BASE_FILE
    )
    audio = recorded(page, NARROW)
    page.column()
    page.open("Arrangement", WIDE, 400)
    caption = "full rock band, live drums, picked bass, two electric guitars, energetic chorus"
    fields = {"caption": caption, "tracks": "drums, bass, guitar", "instrumental": True}
    task = boxes.tracks(page, audio["AUDIO"], "complete", **fields)
    page.close(task.shown)
    end(page, task, "complete", form=[*boxes.of(audio, "audio"), *task.words])
    return page
