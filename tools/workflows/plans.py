"""The example workflows with the planner: from a brief, a sentence or a recording to a song, or to words."""

from tools.workflows.boxes import planned as boxes
from tools.workflows.boxes.planned import PLANNED, said
from tools.workflows.boxes.tasks import of
from tools.workflows.page import GOLD, GREEN, Form, Item, Page, Wire
from tools.workflows.parts import (
    CAPTION,
    LYRICS,
    NARROW,
    OWN,
    PLANNER_FILE,
    PLANNER_LINE,
    TALL,
    WIDE,
    begin,
    end,
    model,
    opening,
    recorded,
    room_for,
    sampler,
    told,
    words,
)

__all__ = ["PLANNED", "PLANNER_FILE", "asked", "planning", "said"]
SEED = 11
WISH = "a cheerful sea shanty about a lost umbrella, with accordion and a choir of sailors"


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


def plan() -> Page:
    steps = [
        "*caption* and *lyrics*: in your own words, short is fine.",
        "*duration (s)*: set, it stays; on auto the planner decides.",
        "*seed*: another plan for the same words.",
    ]
    what = "The planner chooses tempo, key and length, and enriches the caption."
    page = begin("plan", "Plan a song", what, steps, more=[model(PLANNER_FILE, "text_encoders")], note=400)
    page.column()
    page.open("Plan and play", WIDE, TALL)
    task = boxes.plan(page, caption="gentle folk song at night", lyrics=LYRICS)
    page.close(task.shown)
    end(page, task, "plan", titles=("Save", "What the planner thought"), text=task.more["plan"])
    return page


def compose() -> Page:
    steps = [
        "*caption* and *lyrics*: one brief for all songs.",
        "*songs*: how many melodies are written for the plan, all played in one batch.",
        "Song 3 alone: drop its file on the canvas.",
    ]
    what = "The planner thinks once about the song and writes several melodies for it."
    page = begin(
        "compose", "Plan and compose", what, steps, more=[model(PLANNER_FILE, "text_encoders")], note=400
    )
    page.column()
    page.open("Plan, compose and play", WIDE, TALL)
    task = boxes.compose(page, songs=4, caption=CAPTION, lyrics=LYRICS, duration=30.0)
    page.close(task.shown)
    save = end(page, task, "compose", titles=("Save", "What the planner thought"), text=task.more["plan"])
    room_for(save, 3)
    return page


def inspire() -> Page:
    steps = [
        "*wish*: one sentence is enough.",
        "*instrumental*, *language* and *duration (s)*, if you care.",
        "Run again: another song for the same wish.",
    ]
    what = "The planner writes caption and lyrics for a wish, then the melody."
    page = begin(
        "inspire",
        "One sentence to a song",
        what,
        steps,
        more=[model(PLANNER_FILE, "text_encoders")],
        note=400,
    )
    page.column()
    page.open("Wish to song", WIDE, 420)
    task = boxes.inspire(page, wish=WISH, duration=40.0)
    page.close(task.shown)
    end(page, task, "inspire", task.words, ("Save", "The lyrics"), text=task.more["lyrics"])
    return page


def understand() -> Page:
    steps = [
        OWN,
        "Run, and read *What was heard*.",
    ]
    page = begin(
        "understand",
        "Understand",
        "The planner writes down what a recording is.",
        steps,
        more=[model(PLANNER_FILE, "text_encoders")],
    )
    audio = recorded(page, NARROW)
    page.column()
    box = page.open("Understand", 380, 300)
    found, tidy, shown = boxes.understand(page, audio["AUDIO"])
    page.close(shown)
    assert box.inside
    page.column()
    heard = [told(page, found["plan"], "What was heard"), told(page, tidy["caption"], "A caption for it")]
    page.form = Form([*of(audio, "audio"), *of(found, "seed")], heard)
    return page
