"""The example workflows in which ComfyUI's own samplers play."""

from tools.workflows.page import GOLD, GREEN, Item, Page
from tools.workflows.parts import CAPTION, FIXED, LYRICS, heard, length_of, opening, words

SEED = 20


def handed(page: Page, load: Item, conditions: Item, seconds: float) -> Item:
    """The model and the task, as ComfyUI's samplers want them."""
    silence = length_of(page, load, conditions, seconds)
    wires = {"conditions": conditions["conditions"], "source": silence["latent"]}
    look = {"width": 300}
    return page.add("AceGraphToModel", look, model=load["model"], seed=SEED, **FIXED, **wires)


def ksampler() -> Page:
    page = Page("ksampler", "ComfyUI's KSampler")
    steps = [
        "*Caption* and *Lyrics*, as always.",
        "*sampler_name* and *scheduler* in KSampler: any of them; euler and simple are what our Sampler plays.",
        "Turbo wants 8 steps and cfg 1; base and sft 50 steps and cfg 7.",
    ]
    load = opening(page, "The same model, played by ComfyUI's own KSampler.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    task = handed(page, load, conditions, 30.0)
    page.column()
    how = {"steps": 8, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    wires = {name: task[name] for name in ("model", "positive", "negative")}
    look = {"width": 300}
    played = page.add("KSampler", look, latent_image=task["latent"], seed=SEED, **FIXED, **wires, **how)
    heard(page, load, conditions, played["LATENT"], task["report"], "ksampler")
    return page


def comfy_sampler() -> Page:
    page = Page("comfy_sampler", "ComfyUI's samplers, schedulers and guiders")
    steps = [
        "*sampler_name* in KSamplerSelect, *scheduler* and *steps* in BasicScheduler: any of them.",
        "*seed* in To ComfyUI Model: the noise of our own Sampler, so that the same seed is the same song.",
        "*cfg* in CFGGuider: 1 for turbo; base and sft 7, which guidance_kind makes the model's own.",
    ]
    load = opening(page, "Every part of the sampling as a node of its own.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    task = handed(page, load, conditions, 30.0)
    page.column()
    wires = {name: task[name] for name in ("model", "positive", "negative")}
    guider = page.add("CFGGuider", {"width": 300}, cfg=1.0, **wires)
    times = {"scheduler": "simple", "steps": 8, "denoise": 1.0}
    sigmas = page.add("BasicScheduler", {"width": 300}, model=task["model"], **times)
    chosen = page.add("KSamplerSelect", {"width": 300}, sampler_name="euler")
    played = page.add(
        "SamplerCustomAdvanced",
        {"width": 300},
        noise=task["noise"],
        guider=guider["GUIDER"],
        sampler=chosen["SAMPLER"],
        sigmas=sigmas["SIGMAS"],
        latent_image=task["latent"],
    )
    heard(page, load, conditions, played["output"], task["report"], "comfy_sampler")
    return page
