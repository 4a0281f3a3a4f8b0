"""The example workflows that listen to what was played: karaoke, and the best of four takes."""

from tools.workflows.boxes import listening as boxes
from tools.workflows.page import Page
from tools.workflows.parts import (
    NARROW,
    PLANNER_FILE,
    TALL,
    WIDE,
    begin,
    end,
    model,
    saved,
    told,
)


def karaoke() -> Page:
    steps = [
        "*caption* and *lyrics*: as always; the lyrics get their times.",
        "*form* in Save Lyrics: lrc, lrc by word, srt or json.",
        "Read *When it is sung*: every line with its time.",
    ]
    what = "A song, and files that let players show the line that is sung."
    page = begin("karaoke", "A song with the times of its words", what, steps, note=400)
    page.column()
    page.open("Song with times", 340, TALL)
    task = boxes.timed(page, 45.0)
    page.close(task.shown)
    page.column()
    save = saved(page, task.audio, task.conditions, "karaoke", "Save", NARROW)
    save.wires["times"] = task.more["times"]
    fields = {"filename_prefix": "audio/karaoke_words", "form": "lrc by word"}
    words = page.add("AceGraphSaveLyrics", {"width": NARROW}, times=task.more["times"], **fields)
    page.column()
    told(page, words["text"], "When it is sung", 250).look["height"] = 300
    return page


def best_of_four() -> Page:
    steps = [
        "*caption* and *lyrics*: one brief for all takes.",
        "*songs*: how many takes there are.",
        "Read *How they were judged*, then listen: *place* 2 is the second best.",
    ]
    what = "Four takes of one song, ranked by planner and model; the best one is saved."
    more = [model(PLANNER_FILE, "text_encoders")]
    page = begin("best_of_four", "Best of four takes", what, steps, more=more, note=400)
    page.column()
    page.open("Four takes", WIDE, TALL)
    task = boxes.best_of(page, songs=4, duration=30.0)
    page.close(task.shown)
    end(page, task, "best_of_four", titles=("Save", "How they were judged"))
    return page
