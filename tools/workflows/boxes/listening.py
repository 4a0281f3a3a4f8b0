"""What is inside of the boxes that listen to what was played."""

from typing import Any

from tools.workflows.boxes.planned import asked, composed, planner_of, said
from tools.workflows.boxes.tasks import FILES, WORDS, Task, of, on_codes, sung
from tools.workflows.boxes.tasks import encoded as encode
from tools.workflows.page import Page
from tools.workflows.parts import CAPTION, FIXED, LYRICS, decoded, loader

SEED = 20


def timed(page: Page, seconds: float) -> Task:
    """A song, and when its words are sung."""
    load = loader(page)
    page.column()
    task = sung(page, load, load["model"], seconds, caption=CAPTION, lyrics=LYRICS, seed=SEED, **FIXED)
    played = page.items[-2]
    wires: dict[str, Any] = {"conditions": task.conditions["conditions"], "latent": played["latent"]}
    task.more["times"] = page.add("AceGraphLyricTimes", model=load["model"], **wires)["times"]
    return task


def best_of(page: Page, songs: int, duration: float) -> Task:
    """Takes of one song, judged by planner and model, and one of them; the report tells how they were judged."""
    load, planner = loader(page), planner_of(page)
    page.column()
    brief = {"caption": CAPTION, "lyrics": LYRICS, "duration": duration}
    planned = asked(page, "AceGraphPlan", planner, seed=11, **FIXED, **brief)
    codes = composed(page, planner, planned, songs=songs, seed=11, **FIXED)
    page.column()
    conditions = encode(page, load, codes=codes["codes"], **said(planned))
    played = on_codes(page, codes["codes"], load, conditions, seed=11, **FIXED)
    page.column()
    wires = {
        "conditions": conditions["conditions"],
        "planner": planner["planner"],
        "codes": codes["codes"],
        "plan": planned["plan"],
        "model": load["model"],
        "latent": played["latent"],
        "source": played.wires["source"],
    }
    scored = page.add("AceGraphScoreTakes", {"width": 300}, **wires)
    page.column()
    pick = page.add("AceGraphPickTake", {"width": 300}, latent=played["latent"], order=scored["order"])
    song = decoded(page, load, pick)
    shown = [*of(planned, *WORDS, "duration"), *of(codes, "songs", "seed"), *of(pick, "place")]
    files = [*of(planner, "planner"), *of(load, *FILES)]
    return Task(song["audio"], conditions, scored["report"], shown, files)
