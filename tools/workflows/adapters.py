"""The example workflows with adapters: one, two with scales of their own, and songs with and without one side by side."""

from support.tiny.adapters import EXAMPLE, EXAMPLE_FOLDER
from tools.workflows.boxes.adapted import with_adapters
from tools.workflows.page import Page
from tools.workflows.parts import CAPTION, FIXED, LYRICS, NARROW, TALL, WIDE, begin, end, room_for

SEED = 20
PUT = "*adapter*: your file or folder, in models/loras (press R). The demo brings one along."
SONG = {"caption": CAPTION, "lyrics": LYRICS}


def lora() -> Page:
    steps = [
        PUT,
        "*strength*: 1 is as it was trained, less is subtler, 0 is without.",
        "*caption*: with the trigger words of your LoRA; *What was done* tells them, if the file does.",
    ]
    what = "A song from a model that has learnt a style, a voice or an instrument."
    page = begin("lora", "A song with a LoRA", what, steps, note=400)
    page.column()
    page.open("Song with a LoRA", WIDE, TALL)
    one = {"adapter": EXAMPLE, "strength": 0.8}
    task = with_adapters(page, [one], [("adapter", "strength")], 30.0, seed=SEED, **FIXED, **SONG)
    page.close(task.shown)
    end(page, task, "lora", form=task.words)
    return page


def two_loras() -> Page:
    steps = [
        PUT,
        "*cross_attn* of the first: how much of it follows the words. *mlp* of the second: how much of its sound.",
        "*layers* of the second: it acts half as strongly in the first twelve.",
        "*strength* of both: together they may be too much; begin with 0.6 each.",
    ]
    what = "One LoRA after the other, held back where they would quarrel."
    page = begin("two_loras", "Two LoRAs", what, steps, note=400)
    page.column()
    page.open("Song with two LoRAs", WIDE, 560)
    first = {"adapter": EXAMPLE, "strength": 0.6, "cross_attn": 1.5}
    second = {"adapter": EXAMPLE_FOLDER, "strength": 0.6, "self_attn": 0.5, "layers": "0-11: 0.5"}
    shown = [("adapter", "strength", "cross_attn"), ("adapter", "strength", "mlp", "layers")]
    task = with_adapters(page, [first, second], shown, 30.0, seed=SEED, **FIXED, **SONG)
    page.close(task.shown)
    end(page, task, "two_loras")
    return page


def with_and_without() -> Page:
    steps = [
        PUT,
        "*values*: a song for each strength; 0 is without.",
        "In the player: click, Shift+click, then X.",
    ]
    what = "The same song with more and less of a LoRA."
    page = begin("with_and_without", "With and without a LoRA", what, steps)
    look = {"title": "Seeds and strengths", "width": NARROW}
    pairs = page.add("AceGraphSheet", look, seeds=str(SEED), values="1, 0.5, 0")
    page.column()
    page.open("Song with a LoRA", WIDE, TALL)
    one = {"adapter": EXAMPLE, "strength": pairs["value"]}
    wires = {"seed": pairs["seed"], **FIXED}
    task = with_adapters(page, [one], [("adapter",)], 20.0, **wires, **SONG)
    page.close(task.shown)
    room_for(end(page, task, "with_and_without"), 3)
    return page
