"""What is inside of the boxes that edit a song: other words, another style."""

from typing import Any

from tools.workflows.boxes.planned import planner_of, said, understood
from tools.workflows.boxes.tasks import FILES, Shown, Task, encoded, listened, of
from tools.workflows.page import Item, Page, Wire
from tools.workflows.parts import FIXED, decoded, loader

SEED = 3


def other_words(page: Page, recording: Wire, part: Wire, lyrics: str) -> Task:
    """The planner listens and writes down what the song is; then somebody sings other lyrics to it."""
    load, planner = loader(page), planner_of(page)
    page.column()
    latent = listened(page, load, recording)
    known = understood(page, load, planner, latent)
    page.column()
    was = encoded(page, load, source=latent, **said(known, "duration"))
    shall = encoded(page, load, source=latent, lyrics=lyrics, **said(known, "lyrics", "duration"))
    asked = of(shall, "lyrics")
    found = edited(page, load, (latent, part), (was, shall), "whole", asked)
    found.files = [*of(planner, "planner"), *found.files]
    found.more["heard"] = known["plan"]
    return found


def other_style(page: Page, recording: Wire, part: Wire, captions: tuple[str, str]) -> Task:
    """The tune stays, the style changes. captions: of the song as it is, and as it shall be."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    page.column()
    was, shall = (
        encoded(page, load, source=latent, caption=caption, lyrics="[Instrumental]") for caption in captions
    )
    asked = [*of(was, "caption", "lyrics"), *of(shall, "caption", "lyrics")]
    return edited(page, load, (latent, part), (was, shall), "remix", asked)


def edited(
    page: Page, load: Item, song: tuple[Wire, Wire], sides: tuple[Item, Item], what_changes: str, asked: Shown
) -> Task:
    """The edit between two briefs, as the song is and as it shall be. song: its latent, and the mask of what changes; asked: what is
    shown of the briefs."""
    was, shall = sides
    was.look["title"], shall.look["title"] = "As it is", "As it shall be"
    wires: dict[str, Any] = {
        "source_conditions": was["conditions"],
        "target_conditions": shall["conditions"],
        "source": song[0],
        "mask": song[1],
    }
    page.column()
    played = page.add(
        "AceGraphEdit", model=load["model"], what_changes=what_changes, seed=SEED, **FIXED, **wires
    )
    page.column()
    played_song = decoded(page, load, played)
    shown = [*asked, *of(played, "what_changes", "seed")]
    return Task(played_song["audio"], shall, played["report"], shown, of(load, *FILES))
