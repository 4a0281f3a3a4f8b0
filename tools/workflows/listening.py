"""The example workflows that listen to what was played: karaoke, and the best of four takes."""

from tools.workflows.page import GOLD, GREEN, VIOLET, Item, Page
from tools.workflows.parts import (
    CAPTION,
    LYRICS,
    decoded,
    length_of,
    opening,
    sampler,
    saved,
    text,
    told,
    words,
)
from tools.workflows.plans import asked, composed, planning, played_on

SEED = 20


def karaoke() -> Page:
    page = Page("karaoke", "A song with the times of its words")
    steps = [
        "*Caption* and *Lyrics*: as always; the lyrics are what gets its times.",
        "*form* in Save Lyrics: lrc, lrc by word, srt or json.",
        "Read *When it is sung*: every line, and how sure the model is.",
    ]
    load = opening(page, "A song, and files that let players show the line that is sung.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 45.0)
    played = sampler(page, load, conditions, silence["latent"], seed=SEED)
    page.group("Karaoke", VIOLET)
    wires = {"conditions": conditions["conditions"], "latent": played["latent"]}
    times = page.add("AceGraphLyricTimes", {"width": 300}, model=load["model"], **wires)
    fields = {"filename_prefix": "audio/karaoke_words", "form": "lrc by word"}
    page.add("AceGraphSaveLyrics", {"width": 300}, times=times["times"], **fields)
    told(page, times["report"], "When it is sung")
    page.group("Listen", VIOLET)
    song = decoded(page, load, played)
    saved(page, song["audio"], conditions, "karaoke").wires["times"] = times["times"]
    told(page, played["report"])
    return page


def best_of_four() -> Page:
    page = Page("best_of_four", "Four takes and the best one")
    steps = [
        "*Caption* and *Lyrics*: one brief for all four.",
        "*songs* in Compose Codes: how many takes there are.",
        "Read *How they were judged*, then listen: *place* 2 in Pick Take is the second best.",
    ]
    load, planner = planning(
        page, "Four takes of one song, ranked by planner and model; the best one is saved.", steps
    )
    page.group("Words", GREEN)
    caption, lyrics = text(page, "Caption", CAPTION, 200), text(page, "Lyrics", LYRICS, 360)
    page.group("Plan", VIOLET)
    planned = asked(page, "AceGraphPlan", planner, caption=caption, lyrics=lyrics, duration=30.0)
    told(page, planned["plan"], "What the planner thought")
    page.group("Compose", VIOLET)
    codes = composed(page, planner, planned, caption, lyrics, songs=4)
    conditions, played = played_on(page, load, planned, codes["codes"], under="Compose")
    page.group("Judge", VIOLET)
    scored = judged(page, load, planner, planned, codes, conditions, played)
    pick = page.add("AceGraphPickTake", {"width": 300}, latent=played["latent"], order=scored["order"])
    page.group("Verdict", VIOLET, under="Words")
    told(page, scored["report"], "How they were judged")
    page.resume("Judge")
    page.group("Listen", VIOLET, under="Judge")
    song = decoded(page, load, pick)
    saved(page, song["audio"], conditions, "best_of_four").look["width"] = (
        300  # no wider than the group above
    )
    return page


def judged(
    page: Page, load: Item, planner: Item, planned: Item, codes: Item, conditions: Item, played: Item
) -> Item:
    """Both judges."""
    wires = {
        "conditions": conditions["conditions"],
        "planner": planner["planner"],
        "codes": codes["codes"],
        "plan": planned["plan"],
        "model": load["model"],
        "latent": played["latent"],
        "source": played.wires["source"],
    }
    return page.add("AceGraphScoreTakes", {"width": 300}, **wires)
