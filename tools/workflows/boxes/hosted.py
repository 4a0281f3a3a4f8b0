"""What is inside of the boxes in which ComfyUI's own samplers play."""

from collections.abc import Callable

from tools.workflows.boxes.tasks import FILES, Shown, Task, encoded, of
from tools.workflows.page import Item, Page, Wire
from tools.workflows.parts import CAPTION, FIXED, LYRICS, loader

SEED = 20
PARTS = ("model", "positive", "negative")  # of a task that every sampler takes


def by_ksampler(page: Page) -> Task:
    """KSampler plays."""

    def played(task: Item) -> tuple[Wire, Shown]:
        wires = {**{name: task[name] for name in PARTS}, "latent_image": task["latent"]}
        how = {"steps": 8, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
        one = page.add("KSampler", {"width": 270}, seed=SEED, **FIXED, **wires, **how)
        return one["LATENT"], of(one, "sampler_name", "scheduler", "steps", "cfg", "seed")

    return handed(page, 30.0, played)


def by_parts(page: Page) -> Task:
    """Guider, times and sampler, each a node of its own, with the noise of our Sampler."""

    def played(task: Item) -> tuple[Wire, Shown]:
        guider = page.add("CFGGuider", {"width": 270}, cfg=1.0, **{name: task[name] for name in PARTS})
        times = {"scheduler": "simple", "steps": 8, "denoise": 1.0}
        sigmas = page.add("BasicScheduler", {"width": 270}, model=task["model"], **times)
        chosen = page.add("KSamplerSelect", {"width": 270}, sampler_name="euler")
        page.column()
        made = {"guider": guider["GUIDER"], "sampler": chosen["SAMPLER"], "sigmas": sigmas["SIGMAS"]}
        wires = {**made, "noise": task["noise"], "latent_image": task["latent"]}
        one = page.add("SamplerCustomAdvanced", {"width": 270}, **wires)
        shown = [*of(chosen, "sampler_name"), *of(sigmas, "scheduler", "steps"), *of(guider, "cfg")]
        return one["output"], [*shown, *of(task, "seed")]

    return handed(page, 30.0, played)


def handed(page: Page, seconds: float, play: Callable[[Item], tuple[Wire, Shown]]) -> Task:
    """The model and the task as ComfyUI's samplers want them, and what they play. play: adds them; -> latent, and what is shown."""
    load = loader(page)
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=seconds)
    page.column()
    conditions = encoded(page, load, source=silence["latent"], caption=CAPTION, lyrics=LYRICS)
    page.column()
    wires = {"conditions": conditions["conditions"], "source": silence["latent"]}
    task = page.add("AceGraphToModel", {"width": 270}, model=load["model"], seed=SEED, **FIXED, **wires)
    page.column()
    latent, shown = play(task)
    page.column()
    song = page.add("AceGraphOobleckDecode", {"width": 300}, vae=load["vae"], latent=latent)
    asked = [*of(conditions, "caption", "lyrics"), *of(silence, "seconds"), *shown]
    return Task(song["audio"], conditions, task["report"], asked, of(load, *FILES))
