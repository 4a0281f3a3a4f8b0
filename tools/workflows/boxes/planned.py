"""What is inside of the boxes in which the planner works."""

from typing import Any

from tools.workflows.boxes.tasks import ANEW, FILES, WORDS, Task, encoded, listened, of, on_codes, sampler
from tools.workflows.page import Item, Page, Wire
from tools.workflows.parts import FIXED, PLANNER_FILE, decoded, loader, model

PLANNED = ("caption", "lyrics", "language", "bpm", "key", "time_signature", "duration")


def planner_of(page: Page) -> Item:
    """Load Planner."""
    look = {"width": 400, "models": [model(PLANNER_FILE, "text_encoders")]}
    return page.add("AceGraphLoadPlanner", look, planner=PLANNER_FILE)


def said(plan: Item, *without: str) -> dict[str, Wire]:
    """The planner's answer for the inputs of the same names."""
    return {name: plan[name] for name in PLANNED if name not in without}


def asked(page: Page, kind: str, planner: Item, **fields: Any) -> Item:
    """A node that asks the planner; every run has another answer unless asked for otherwise."""
    return page.add(kind, planner=planner["planner"], **{**ANEW, **fields})


def plan(page: Page, **fields: Any) -> Task:
    """The planner chooses tempo, key and length, and enriches the caption."""
    load, planner = loader(page), planner_of(page)
    page.column()
    planned = asked(page, "AceGraphPlan", planner, **fields)
    page.column()
    conditions = encoded(page, load, **said(planned))
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=planned["duration"])
    page.column()
    played = sampler(page, load, conditions, silence["latent"])
    return ended(page, load, planner, conditions, played, planned, of(planned, *WORDS, "duration", "seed"))


def compose(page: Page, songs: int, **fields: Any) -> Task:
    """One plan, and melodies for it, written and played in one batch."""
    load, planner = loader(page), planner_of(page)
    page.column()
    planned = asked(page, "AceGraphPlan", planner, **FIXED, seed=11, **fields)
    codes = composed(page, planner, planned, songs=songs)
    page.column()
    conditions = encoded(page, load, codes=codes["codes"], **said(planned))
    played = on_codes(page, codes["codes"], load, conditions)
    shown = [*of(planned, *WORDS, "duration", "seed"), *of(codes, "songs", "seed")]
    return ended(page, load, planner, conditions, played, planned, shown)


def inspire(page: Page, **fields: Any) -> Task:
    """One sentence becomes caption, lyrics, melody and a song."""
    load, planner = loader(page), planner_of(page)
    page.column()
    inspired = asked(page, "AceGraphInspire", planner, **fields)
    codes = composed(page, planner, inspired)
    page.column()
    conditions = encoded(page, load, codes=codes["codes"], **said(inspired))
    played = on_codes(page, codes["codes"], load, conditions)
    shown = of(inspired, "wish", "instrumental", "language", "duration", "seed")
    found = ended(page, load, planner, conditions, played, inspired, shown)
    found.more["lyrics"] = inspired["lyrics"]
    return found


def composed(page: Page, planner: Item, plan: Item, **fields: Any) -> Item:
    """The melody for a plan, beside it."""
    page.column()
    words = {name: plan[name] for name in ("caption", "lyrics", "plan")}
    return asked(page, "AceGraphComposeCodes", planner, **words, **fields)


def ended(
    page: Page, load: Item, planner: Item, conditions: Item, played: Item, planned: Item, shown: Any
) -> Task:
    """The song, and what the planner thought."""
    page.column()
    song = decoded(page, load, played)
    files = [*of(planner, "planner"), *of(load, *FILES)]
    more = {"plan": planned["plan"]}
    return Task(song["audio"], conditions, played["report"], shown, files, more)


def listened_here(page: Page, load: Item, recording: Wire) -> Wire:
    """A recording as a latent, in a column of its own."""
    page.column()
    return listened(page, load, recording)


def understood(page: Page, load: Item, planner: Item, latent: Wire) -> Item:
    """What the planner says of a recording."""
    codes = page.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    page.column()
    return asked(page, "AceGraphUnderstand", planner, codes=codes["codes"], **FIXED)


def understand(page: Page, recording: Wire) -> tuple[Item, Item, Any]:
    """A recording to words, as they are and tidied; -> both nodes, and what is shown."""
    load, planner = loader(page), planner_of(page)
    found = understood(page, load, planner, listened_here(page, load, recording))
    page.column()
    rough = {name: found[name] for name in ("caption", "lyrics", "language", "bpm", "key")}
    tidy = asked(page, "AceGraphFormat", planner, **rough, **FIXED)
    return found, tidy, [*of(found, "seed"), *of(planner, "planner"), *of(load, *FILES)]
