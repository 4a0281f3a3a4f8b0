"""The example workflows for single tracks, which need a base checkpoint."""

from tools.workflows.edits import recording_of
from tools.workflows.page import GOLD, GREEN, VIOLET, Item, Page
from tools.workflows.parts import (
    BASE_FILE,
    decoded,
    finish,
    opening,
    sampler,
    saved,
    upload,
    words,
)

SEED = 3
STEMS = (
    *("vocals", "backing_vocals", "drums", "percussion", "bass", "guitar"),
    *("keyboard", "strings", "synth", "brass", "woodwinds", "fx"),
)
A_BATCH = 4  # inputs of Batch Conditions


def extract() -> Page:
    page = Page("extract", "Extract one track")
    steps = [
        upload(),
        "*tracks* in Words: one of vocals, backing_vocals, drums, percussion, bass, guitar, keyboard, strings, synth, "
        "brass, woodwinds, fx.",
        "The model plays the track anew as it hears it; it is no exact subtraction.",
    ]
    load = opening(page, "One instrument or the voice out of a mix.", steps, BASE_FILE)
    heard = recording_of(page, load)
    page.group("Track", GREEN)
    fields = {"caption": "synth pop", "task": "extract", "tracks": "drums"}
    conditions = words(page, load, source=heard.latent, **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, heard.latent, seed=SEED)
    finish(page, load, conditions, played, "extract")
    return page


def lego() -> Page:
    page = Page("lego", "Lego: add one track")
    steps = [
        upload("the music that the new track shall fit to"),
        "*tracks* in Words: what is added. *Caption*: how it plays.",
        "Wire a Chunk Mask into the Sampler to add it in a part only.",
    ]
    load = opening(
        page, "A new instrument that fits to a recording, alone and mixed with it.", steps, BASE_FILE
    )
    heard = recording_of(page, load)
    page.group("Track", GREEN)
    caption = "funky rhythm guitar, clean tone, sixteenth-note strumming, tight and dry"
    fields = {"caption": caption, "task": "lego", "tracks": "guitar"}
    conditions = words(page, load, source=heard.latent, **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, heard.latent, seed=SEED)
    page.group("Listen", VIOLET)
    track = decoded(page, load, played)
    saved(page, track["audio"], conditions, "lego", "The new track alone")
    mixed = page.add(
        "AudioMerge", {"width": 340}, audio1=heard.audio, audio2=track["audio"], merge_method="mean"
    )
    page.add("AceGraphPreviewAudio", {"title": "Both together", "width": 340}, audio=mixed["AUDIO"])
    return page


def complete() -> Page:
    page = Page("complete", "Complete: an arrangement around a track")
    steps = [
        upload("a voice or an instrument alone"),
        "*tracks* in Words: what joins in, with commas. *Caption*: the whole arrangement.",
        "*Lyrics*: what is sung, with *instrumental* off.",
    ]
    load = opening(page, "A band around a single track.", steps, BASE_FILE)
    heard = recording_of(page, load)
    page.group("Tracks", GREEN)
    caption = "full rock band, live drums, picked bass, two electric guitars, energetic chorus"
    fields = {"caption": caption, "task": "complete", "tracks": "drums, bass, guitar", "instrumental": True}
    conditions = words(page, load, source=heard.latent, **fields)
    page.group("Play", GOLD)
    played = sampler(page, load, conditions, heard.latent, seed=SEED)
    finish(page, load, conditions, played, "complete")
    return page


def stems() -> Page:
    page = Page("stems", "All stems at once")
    steps = [
        upload(),
        "Every node of *Tracks* asks for one stem: click its dot to open it, and set *tracks* there.",
        "Twelve songs are played at once. Short of memory: fewer nodes, and the same number in Repeat Latent Batch.",
        "The arrows of the player go from stem to stem; each is a file of its own.",
    ]
    load = opening(page, "Twelve tracks of a recording in one batch.", steps, BASE_FILE)
    heard = recording_of(page, load)
    page.group("Tracks", GREEN)
    tracks = [track_of(page, load, heard.latent, name) for name in STEMS]
    page.column()
    batches = [batch(page, tracks[place : place + A_BATCH]) for place in range(0, len(tracks), A_BATCH)]
    joined = batch(page, batches)
    page.group("Play", GOLD)
    songs = page.add("RepeatLatentBatch", {"width": 300}, samples=heard.latent, amount=len(STEMS))
    played = sampler(page, load, joined, songs["LATENT"], seed=SEED)
    finish(page, load, joined, played, "stems")
    return page


def track_of(page: Page, load: Item, source, name: str) -> Item:
    """Words of one stem, folded up."""
    look = {"title": name.replace("_", " "), "width": 400, "collapsed": True}
    wires = {"text_encoder": load["text_encoder"], "source": source}
    fields = {"caption": "synth pop", "task": "extract", "tracks": name}
    return page.add("AceGraphEncodeConditions", look, **wires, **fields)


def batch(page: Page, parts: list[Item]) -> Item:
    """Several conditions as one."""
    names = ("first", "second", "third", "fourth")
    wires = {name: part["conditions"] for name, part in zip(names, parts, strict=False)}
    return page.add("AceGraphBatchConditions", {"width": 260}, **wires)
