"""The example workflows with adapters: one, two with scales of their own, and songs with and without one side by side."""

from support.tiny.adapters import EXAMPLE, EXAMPLE_FOLDER
from tools.workflows.page import GOLD, GREEN, VIOLET, Item, Page, Wire
from tools.workflows.parts import (
    CAPTION,
    LYRICS,
    finish,
    length_of,
    opening,
    room_for,
    sampler,
    saved,
    told,
    words,
)

SEED = 20
PUT = (
    "*Your LoRA*: put it into models/loras, press R, and choose it in Load LoRA; only the demo brings one along. "
    "A trainer's folder goes there as a whole."
)


def adapter(page: Page, model: Wire, name: str = EXAMPLE, title: str = "", **settings: float | str) -> Item:
    """Load LoRA."""
    look = {"width": 300, **({"title": title} if title else {})}
    return page.add("AceGraphLoadAdapter", look, model=model, adapter=name, **settings)


def lora() -> Page:
    page = Page("lora", "A song with a LoRA")
    steps = [
        PUT,
        "*strength*: 1 is as it was trained; less is subtler, 0 is without.",
        "*Caption*: write the trigger words of your LoRA into it; *What was loaded* tells them, if the file does.",
    ]
    load = opening(page, "A song from a model that has learnt a style, a voice or an instrument.", steps)
    page.group("Adapter", VIOLET)
    adapted = adapter(page, load["model"], strength=0.8)
    told(page, adapted["report"], "What was loaded")
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 30.0)
    played = sampler(page, adapted, conditions, silence["latent"], seed=SEED)
    finish(page, load, conditions, played, "lora")
    return page


def two_loras() -> Page:
    page = Page("two_loras", "Two LoRAs, each for its part")
    steps = [
        PUT,
        "*cross_attn* of the first: how much of it follows the words. *mlp* of the second: how much of its sound.",
        "*layers* of the second: it acts half as strongly in the first twelve.",
        "*strength* of both: together they may be too much; begin with 0.6 each.",
    ]
    load = opening(page, "One LoRA after the other, held back where they would quarrel.", steps)
    page.group("Adapters", VIOLET)
    first = adapter(page, load["model"], title="First LoRA", strength=0.6, cross_attn=1.5)
    second = adapter(
        page, first["model"], EXAMPLE_FOLDER, "Second LoRA", strength=0.6, self_attn=0.5, layers="0-11: 0.5"
    )
    page.column()
    told(page, second["report"], "What was loaded")
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 30.0)
    played = sampler(page, second, conditions, silence["latent"], seed=SEED)
    finish(page, load, conditions, played, "two_loras")
    return page


def with_and_without() -> Page:
    page = Page("with_and_without", "With and without a LoRA")
    steps = [
        PUT,
        "*strength* in both Load LoRA: song 1 is played with the first, song 2 with the second, song 3 without.",
        "*seed* in all three Samplers: the same, or the songs differ for another reason.",
    ]
    load = opening(page, "The same song three times in one player, to hear what a LoRA does.", steps)
    page.group("Adapter", VIOLET)
    whole = adapter(page, load["model"], title="Whole", strength=1.0)
    half = adapter(page, load["model"], title="Half", strength=0.5)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 20.0)
    models = {"Sampler with the whole": whole, "Sampler with half": half, "Sampler without": load}
    takes = []
    for place, (title, model) in enumerate(models.items()):
        if place:
            page.column()
        takes.append(sampler(page, model, conditions, silence["latent"], title, seed=SEED))
    page.group("Listen", VIOLET, under="Adapter")
    both = page.add("LatentBatch", {"width": 300}, samples1=takes[0]["latent"], samples2=takes[1]["latent"])
    page.column()
    every = page.add("LatentBatch", {"width": 300}, samples1=both["LATENT"], samples2=takes[2]["latent"])
    page.column()
    song = page.add("AceGraphOobleckDecode", {"width": 300}, vae=load["vae"], latent=every["LATENT"])
    page.column()
    room_for(saved(page, song["audio"], conditions, "with_and_without"), 2)
    page.column()
    told(page, takes[0]["report"])
    return page
