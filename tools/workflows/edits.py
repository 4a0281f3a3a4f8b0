"""The example workflows that change a recording: covers, codes, repaint and extend."""

from tools.workflows.boxes import tasks as boxes
from tools.workflows.page import Page
from tools.workflows.parts import (
    BESIDE,
    NARROW,
    OWN,
    TALL,
    WIDE,
    begin,
    decoded,
    drawn,
    end,
    loader,
    recorded,
    room_for,
    saved,
    told,
)

SEED = 7
COVER_CAPTION = (
    "acoustic folk trio, nylon guitar, double bass and shaker, warm room, gentle and unhurried, organic"
)
STRENGTHS = (1.0, 0.6, 0.3)


def cover() -> Page:
    steps = [
        OWN,
        "*caption*: the style it shall have.",
        "Sung: *lyrics*, *instrumental* off.",
        "*noise_strength* 0.2: nearer to it.",
    ]
    page = begin("cover", "Cover", "Melody and rhythm of a recording in another style.", steps)
    audio = recorded(page, NARROW)
    page.column()
    page.open("Cover", WIDE, TALL)
    task = boxes.cover(page, audio["AUDIO"], caption=COVER_CAPTION, instrumental=True)
    page.close(task.shown)
    end(page, task, "cover", form=[*boxes.of(audio, "audio"), *task.words])
    return page


def cover_strengths() -> Page:
    steps = [
        OWN,
        "*value*: the style it shall have.",
        "*cover_strength* of song 1, 2 and 3.",
    ]
    what = "One cover three times: bound to the recording, looser, free. All in one player."
    page = begin("cover_strengths", "Cover in three strengths", what, steps)
    audio = recorded(page, NARROW)
    page.column()
    page.open("Three covers", WIDE, TALL)
    fields = {"caption": COVER_CAPTION, "instrumental": True}
    task = boxes.cover_strengths(page, audio["AUDIO"], STRENGTHS, **fields)
    page.close(task.shown)
    room_for(end(page, task, "cover_strengths"), 3)
    return page


def repaint() -> Page:
    steps = [
        OWN,
        "Draw on the wave what is made anew; Space plays it.",
        "*caption*: of the whole song.",
        "*repaint_strength* 1: change more.",
    ]
    what = "A few seconds anew; every other sample of the recording stays."
    page = begin("repaint", "Repaint a part", what, steps)
    audio = recorded(page, NARROW)
    region = drawn(page, audio, "What is made anew", start=6.0, end=10.0)
    page.open("Repaint", BESIDE, TALL)
    fields = {"caption": "synth pop with a soaring saxophone solo", "instrumental": True}
    task = boxes.repaint(page, region["audio"], region, **fields)
    page.close(task.shown)
    asked = [*boxes.of(audio, "audio"), *boxes.of(region, "start", "end"), *task.words]
    save = end(page, task, "repaint", form=asked)
    save.values["level"] = "none"  # or every sample would be another
    return page


def extend() -> Page:
    steps = [
        OWN,
        "Draw on the wave what is kept, without a fade-out; at first all.",
        "*after*: seconds of new music.",
        "*caption*: of the whole song.",
    ]
    page = begin("extend", "Extend a song", "New music after a recording.", steps)
    audio = recorded(page, NARROW)
    region = drawn(page, audio, "What is kept")
    page.open("Extend", BESIDE, TALL)
    caption = "synth pop that grows into a big finale, layered synths, wide drums"
    task = boxes.extend(page, region["part"], 12.0, caption=caption, instrumental=True)
    page.close(task.shown)
    asked = [*boxes.of(audio, "audio"), *boxes.of(region, "start", "end"), *task.words]
    save = end(page, task, "extend", form=asked)
    save.values["level"] = "none"
    return page


def codes() -> Page:
    steps = [
        OWN,
        "Edit *Codes as text*, paste it into Codes from Text.",
        "*Load Codes*: Ctrl+B switches it on.",
    ]
    what = "A melody as numbers: to look at, to edit, to keep and to build songs on."
    page = begin("codes", "Melody as codes", what, steps)
    audio = recorded(page, NARROW)
    page.column()
    page.open("Listen", 280, 100)
    load = loader(page)
    heard = page.add(
        "AceGraphAudioToCodes", model=load["model"], latent=boxes.listened(page, load, audio["AUDIO"])
    )
    text = page.add("AceGraphCodesToText", codes=heard["codes"])
    page.close(boxes.of(load, "model"))
    page.add("AceGraphLoadCodes", {"title": "Load Codes (off)", "width": 280, "off": True})
    page.column()
    told(page, text["text"], "Codes as text").look.update(width=280, height=80)
    read = page.add("AceGraphCodesFromText", {"width": 280, "height": 80}, text=text["text"])
    page.add("AceGraphSaveCodes", {"width": 280}, codes=heard["codes"])
    page.column()
    page.open("Play", 280, 190)
    load = loader(page)
    conditions = boxes.encoded(page, load, codes=read["codes"], caption=COVER_CAPTION, instrumental=True)
    played = boxes.on_codes(page, read["codes"], load, conditions)
    song = decoded(page, load, played)
    page.close([*boxes.of(conditions, "caption"), *boxes.of(played, "seed"), *boxes.of(load, "model")])
    saved(page, song["audio"], conditions, "codes").look["width"] = 280
    return page
