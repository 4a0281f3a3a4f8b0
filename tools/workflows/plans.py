"""The example workflows with the planner: from a brief, a sentence or a recording to a song."""

from tools.workflows.edits import COVER_CAPTION
from tools.workflows.page import GOLD, GREEN, RED, VIOLET, Item, Page, Wire
from tools.workflows.parts import (
    CAPTION,
    FILES,
    LYRICS,
    decoded,
    finish,
    listened,
    made_here,
    model,
    opening,
    recorded,
    sampler,
    saved,
    text,
    told,
    upload,
    words,
)

SEED = 11
PLANNER_FILE = "qwen_1.7b_ace15.safetensors"
PLANNED = ("caption", "lyrics", "language", "bpm", "key", "time_signature", "duration")
WISH = "a cheerful sea shanty about a lost umbrella, with accordion and a choir of sailors"
PLANNER_LINE = f"\n- [{PLANNER_FILE}]({FILES}/text_encoders/{PLANNER_FILE}) in models/text_encoders"


def planning(page: Page, what: str, first: list[str]) -> tuple[Item, Item]:
    """The left end of a page with a planner: the note, the loader, and the planner's loader."""
    load = opening(page, what, first, more=PLANNER_LINE)
    look = {"width": 400, "models": [model(PLANNER_FILE, "text_encoders")]}
    return load, page.add("AceGraphLoadPlanner", look, planner=PLANNER_FILE)


def asked(page: Page, kind: str, planner: Item, **fields: object) -> Item:
    """A node that asks the planner."""
    look = {"width": 340, "height": 520 if "caption" in fields or kind != "AceGraphUnderstand" else 300}
    inputs = {"seed": SEED, "control_after_generate": "fixed", **fields}
    return page.add(kind, look, planner=planner["planner"], **inputs)


def said(plan: Item, *without: str) -> dict[str, Wire]:
    """The planner's answer for the inputs of the same names."""
    return {name: plan[name] for name in PLANNED if name not in without}


def plan() -> Page:
    page = Page("plan", "Plan a song")
    steps = [
        "*caption* and *lyrics* in Plan: in your own words, short is fine.",
        "What you set in Plan (tempo, key, length) stays; the planner decides the rest.",
        "*seed* in Plan: another plan for the same words.",
    ]
    load, planner = planning(
        page, "The planner chooses tempo, key and length, and enriches the caption.", steps
    )
    page.group("Plan", VIOLET)
    planned = asked(page, "AceGraphPlan", planner, caption="gentle folk song at night", lyrics=LYRICS)
    told(page, planned["plan"], "What the planner thought")
    page.group("Song", GREEN)
    conditions = words(page, load, **said(planned))
    page.group("Play", GOLD)
    silence = page.add(
        "AceGraphSilenceLatent", {"width": 300}, model=load["model"], seconds=planned["duration"]
    )
    played = sampler(page, load, conditions, silence["latent"], seed=SEED)
    finish(page, load, conditions, played, "plan")
    return page


def composed(page: Page, planner: Item, planned: Item, caption: Wire, lyrics: Wire, **fields: object) -> Item:
    """The melody for a plan."""
    words = {"caption": caption, "lyrics": lyrics, "plan": planned["plan"]}
    return asked(page, "AceGraphComposeCodes", planner, **words, **fields)


def played_on(page: Page, load: Item, planned: Item, codes: Wire, under: str = "") -> tuple[Item, Item]:
    """The song that is played on codes: conditions, in a group as narrow as the one that it is under, and sampler."""
    page.group("Song", GREEN, under)
    size = {"width": 340, "height": 480} if under else {}
    conditions = words(page, load, codes=codes, **size, **said(planned))
    page.group("Play", GOLD)
    hints = page.add("AceGraphCodesToLatent", {"width": 300}, model=load["model"], codes=codes)
    return conditions, sampler(page, load, conditions, hints["latent"], seed=SEED)


def compose() -> Page:
    page = Page("compose", "Plan and compose")
    steps = [
        "*Caption* and *Lyrics*: both Plan and Compose Codes read them.",
        "*duration* in Plan: how long the song is.",
        "*seed* in Compose Codes: another melody for the same plan.",
    ]
    what = "The planner thinks about the song and writes its melody and rhythm."
    return composed_page(page, what, steps, 45.0)


def four_songs() -> Page:
    page = Page("four_songs", "Four songs from one brief")
    steps = [
        "*Caption* and *Lyrics*: one brief for all four.",
        "*songs* in Compose Codes: how many there are.",
        "Listen to all of them in the player; song 3 alone: seed plus 2 in Compose Codes and the Sampler, *songs* 1.",
    ]
    what = "One plan, and four melodies for it, written and played in one batch."
    return composed_page(page, what, steps, 30.0, songs=4)


def composed_page(page: Page, what: str, steps: list[str], seconds: float, **batch: int) -> Page:
    """Words, plan, codes, and what is played on them."""
    load, planner = planning(page, what, steps)
    page.group("Words", GREEN)
    caption, lyrics = text(page, "Caption", CAPTION, 200), text(page, "Lyrics", LYRICS, 360)
    page.group("Plan", VIOLET)
    planned = asked(page, "AceGraphPlan", planner, caption=caption, lyrics=lyrics, duration=seconds)
    told(page, planned["plan"], "What the planner thought")
    page.group("Compose", VIOLET)
    codes = composed(page, planner, planned, caption, lyrics, **batch)
    conditions, played = played_on(page, load, planned, codes["codes"], under="Compose")
    finish(page, load, conditions, played, page.name)
    told(page, codes["report"], "What was composed")
    return page


def inspire() -> Page:
    page = Page("inspire", "One sentence to a song")
    steps = [
        "*wish* in Inspire: one sentence is enough.",
        "*instrumental*, *language* and *duration* there, if you care.",
        "*seed* in Inspire: another song for the same wish.",
    ]
    load, planner = planning(
        page, "The planner writes caption and lyrics for a wish, then the melody.", steps
    )
    page.group("Wish", VIOLET)
    inspired = asked(page, "AceGraphInspire", planner, wish=WISH, duration=40.0)
    told(page, inspired["plan"], "What the planner thought")
    told(page, inspired["lyrics"], "The lyrics")
    page.group("Compose", VIOLET)
    codes = composed(page, planner, inspired, inspired["caption"], inspired["lyrics"])
    told(page, codes["report"], "What was composed")
    conditions, played = played_on(page, load, inspired, codes["codes"])
    finish(page, load, conditions, played, "inspire")
    return page


def understand() -> Page:
    page = Page("understand", "Understand, then cover")
    steps = [
        upload("what the planner shall listen to"),
        "*caption* in Format: the new style.",
        "Read *What was heard*: the planner's words for your recording.",
    ]
    load, planner = planning(
        page,
        "The planner writes down what a recording is; the cover takes its words, tidied by Format.",
        steps,
    )
    page.group("Recording", RED)
    audio = recorded(page)
    page.group("Understand", VIOLET, under="Recording")
    page.group("New words", VIOLET)
    file = made_here(page, load, audio, under="New words")
    page.resume("Recording")
    latent = listened(page, load, file)["latent"]
    codes = page.add("AceGraphAudioToCodes", {"width": 300}, model=load["model"], latent=latent)
    page.resume("Understand")
    found = asked(page, "AceGraphUnderstand", planner, codes=codes["codes"])
    found.look["width"] = 300  # no wider than the group above
    page.resume("New words")
    told(page, found["plan"], "What was heard")
    rough = {"lyrics": found["lyrics"], "language": found["language"], "key": found["key"]}
    tidy = asked(page, "AceGraphFormat", planner, caption=COVER_CAPTION, bpm=found["bpm"], **rough)
    page.group("Song", GREEN)
    fields = {"task": "cover", "source": latent, **said(tidy, "duration")}
    conditions = words(page, load, "Words of the cover", **fields)
    page.group("Play", GOLD)
    hints = page.add("AceGraphCodesToLatent", {"width": 300}, model=load["model"], codes=codes["codes"])
    played = sampler(page, load, conditions, hints["latent"], seed=SEED)
    page.group("Listen", VIOLET)
    saved(page, decoded(page, load, played)["audio"], conditions, "understand")
    told(page, played["report"])
    return page
