"""The example workflows with the planner: from a brief, a sentence or a recording to a song, or to words."""

from tools.workflows.boxes import planned as boxes
from tools.workflows.boxes.tasks import of
from tools.workflows.page import Form, Page
from tools.workflows.parts import (
    CAPTION,
    LYRICS,
    NARROW,
    OWN,
    PLANNER_FILE,
    TALL,
    WIDE,
    begin,
    end,
    model,
    recorded,
    room_for,
    told,
)

WISH = "a cheerful sea shanty about a lost umbrella, with accordion and a choir of sailors"


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
