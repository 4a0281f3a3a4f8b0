"""The example workflows that change a recording: covers, codes, repaint and extend."""

from typing import NamedTuple

from tools.workflows.page import BLUE, GOLD, GREEN, RED, VIOLET, Item, Page, Wire
from tools.workflows.parts import (
    decoded,
    finish,
    listened,
    made_here,
    opening,
    recorded,
    sampler,
    saved,
    text,
    told,
    upload,
    words,
)

SEED = 7
COVER_CAPTION = (
    "acoustic folk trio, nylon guitar, double bass and shaker, warm room, gentle and unhurried, organic"
)


class Heard(NamedTuple):
    """A recording on the page."""

    audio: Wire
    latent: Wire


def recording_of(page: Page, load: Item, under: str = "Recording") -> Heard:
    """Load Audio, a group that may replace it, and the latent. under: the group above that other group."""
    page.group("Recording", RED)
    audio = made_here(page, load, recorded(page), under)
    page.resume("Recording")
    return Heard(audio, listened(page, load, audio)["latent"])


def melody_of(page: Page, load: Item, latent: Wire) -> Item:
    """Melody and rhythm of a recording as a source."""
    codes = page.add("AceGraphAudioToCodes", {"width": 300}, model=load["model"], latent=latent)
    return page.add("AceGraphCodesToLatent", {"width": 300}, model=load["model"], codes=codes["codes"])


def cover() -> Page:
    page = Page("cover", "Cover")
    steps = [
        upload("the song to cover"),
        "*Caption*: the style that it shall have now.",
        "*Lyrics*: those of the song if somebody sings, with *instrumental* off.",
        "*noise_strength* in the Sampler, for example 0.2: stay nearer to the recording.",
    ]
    load = opening(page, "Melody and rhythm of a recording in another style.", steps)
    heard = recording_of(page, load)
    hints = melody_of(page, load, heard.latent)
    page.group("Song", GREEN)
    fields = {"caption": COVER_CAPTION, "task": "cover", "instrumental": True}
    conditions = words(page, load, source=heard.latent, **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, hints["latent"], seed=SEED, start_from=heard.latent)
    finish(page, load, conditions, played, "cover")
    return page


def cover_strengths() -> Page:
    page = Page("cover_strengths", "Cover strengths compared")
    steps = [
        upload("the song to cover"),
        "*Caption*: the style that it shall have now. If somebody sings: *lyrics*, with *instrumental* off, in Words and "
        "in For text2music (click its dot).",
        "*cover_strength* of the three Samplers: the share of steps that follow the recording.",
        "Keep the seeds equal, so that only the strength differs.",
    ]
    load = opening(page, "One cover three times: bound to the recording, looser, free.", steps)
    heard = recording_of(page, load, under="Start here")
    hints = melody_of(page, load, heard.latent)
    page.group("Song", GREEN)
    fields = {"caption": text(page, "Caption", COVER_CAPTION, 130), "instrumental": True, "height": 480}
    conditions = words(page, load, source=heard.latent, task="cover", **fields)
    free = words(page, load, "For text2music", source=heard.latent, **fields)
    free.look["collapsed"] = True
    for strength in (1.0, 0.6, 0.3):
        page.group(f"Strength {strength:g}", GOLD)
        settings = {"seed": SEED, "cover_strength": strength, "second_conditions": free["conditions"]}
        played = sampler(page, load, conditions, hints["latent"], **settings)
        look = {"title": f"Cover, strength {strength:g}", "width": 340}
        audio = decoded(page, load, played)["audio"]
        page.add("AceGraphPreviewAudio", look, audio=audio, conditions=conditions["conditions"])
    return page


def codes() -> Page:
    page = Page("codes", "Audio codes: keep and edit a melody")
    steps = [
        upload(),
        "*Codes as text* shows its melody and rhythm after a run, five codes a second. Copy, edit, and paste them into "
        "Codes from Text, once its wire is cut.",
        "*Save Codes* keeps them in output/codes. Switch *Load Codes* on (Ctrl+B) and wire it in to use them later.",
    ]
    load = opening(page, "A melody as numbers: to look at, to edit, to keep and to build songs on.", steps)
    heard = recording_of(page, load)
    made = page.add("AceGraphAudioToCodes", {"width": 300}, model=load["model"], latent=heard.latent)
    page.group("Codes", BLUE)
    written = page.add("AceGraphCodesToText", {"width": 340}, codes=made["codes"])
    told(page, written["text"], "Codes as text")
    read = page.add("AceGraphCodesFromText", {"width": 340, "height": 120}, text=written["text"])
    page.add("AceGraphSaveCodes", {"width": 340}, codes=made["codes"])
    page.add("AceGraphLoadCodes", {"title": "Load Codes (off)", "width": 340, "off": True})
    page.group("Song", GREEN)
    fields = {"caption": COVER_CAPTION, "instrumental": True}
    conditions = words(page, load, codes=read["codes"], **fields)
    page.group("Play", GOLD)
    hints = page.add("AceGraphCodesToLatent", {"width": 300}, model=load["model"], codes=read["codes"])
    played = sampler(page, load, conditions, hints["latent"], seed=SEED)
    finish(page, load, conditions, played, "codes")
    return page


def repaint() -> Page:
    page = Page("repaint", "Repaint a part")
    steps = [
        upload(),
        "*start* and *end* in Chunk Mask: the seconds to play anew.",
        "*Caption*: the whole song with its new part. *Lyrics*: of the whole song, with *instrumental* off.",
        "*repaint_strength*: 0 keeps the surroundings, 1 lets them change.",
    ]
    load = opening(page, "A few seconds anew; Splice keeps every other sample of the recording.", steps)
    heard = recording_of(page, load)
    mask = page.add("AceGraphChunkMask", {"width": 300}, latent=heard.latent, start=6.0, end=10.0)
    page.group("Song", GREEN)
    fields = {"caption": "synth pop with a soaring saxophone solo", "task": "repaint", "instrumental": True}
    conditions = words(page, load, source=heard.latent, **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, heard.latent, seed=SEED, mask=mask["mask"])
    joined(page, load, conditions, played, heard.audio, mask["mask"], "repaint")
    return page


def extend() -> Page:
    page = Page("extend", "Extend a song")
    steps = [
        upload(),
        "*after* and *before* in Extend: seconds of new music. With *before*, give Splice the same number as its offset.",
        "*Caption* and *lyrics* of the whole song, the old part included; *instrumental* off if somebody sings.",
    ]
    load = opening(page, "New music after a recording, or before it.", steps)
    heard = recording_of(page, load)
    room = page.add(
        "AceGraphExtend", {"width": 300}, model=load["model"], latent=heard.latent, before=0.0, after=12.0
    )
    page.group("Song", GREEN)
    caption = "synth pop that grows into a big finale, layered synths, wide drums"
    fields = {"caption": caption, "task": "extend", "instrumental": True}
    conditions = words(page, load, source=room["latent"], **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, room["latent"], seed=SEED, mask=room["mask"])
    joined(page, load, conditions, played, heard.audio, room["mask"], "extend")
    return page


def joined(
    page: Page, load: Item, conditions: Item, played: Item, original: Wire, mask: Wire, name: str
) -> None:
    """The right end where a recording is kept around what is new."""
    page.group("Listen", VIOLET)
    new = decoded(page, load, played)["audio"]
    splice = page.add("AceGraphSplice", {"width": 340}, new=new, original=original, mask=mask)
    saved(page, splice["audio"], conditions, name, level="none")  # or every sample would be another
    told(page, splice["report"])
