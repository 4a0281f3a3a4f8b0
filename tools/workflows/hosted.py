"""The example workflows in which ComfyUI's own samplers play."""

from tools.workflows.boxes import hosted as boxes
from tools.workflows.page import Page
from tools.workflows.parts import TALL, WIDE, begin, end

OPEN = "The corner of the box opens it: there the nodes are."


def ksampler() -> Page:
    steps = [
        "*sampler_name*, *scheduler*: any of them; euler and simple are what our Sampler plays.",
        "*steps*, *cfg*: turbo wants 8 and 1; base and sft 50 and 7.",
        OPEN,
    ]
    what = "The same model, played by ComfyUI's own KSampler."
    page = begin("ksampler", "ComfyUI's KSampler", what, steps, note=400)
    page.column()
    page.open("Song by KSampler", WIDE, TALL)
    task = boxes.by_ksampler(page)
    page.close(task.shown)
    end(page, task, "ksampler")
    return page


def comfy_sampler() -> Page:
    steps = [
        "*sampler_name* is KSamplerSelect's, *scheduler* and *steps* BasicScheduler's: any of them.",
        "*cfg* is CFGGuider's: 1 for turbo; base and sft 7, which guidance_kind makes the model's own.",
        "*seed*: the noise of our own Sampler; the same seed is the same song.",
        OPEN,
    ]
    what = "Guider, scheduler, sampler and noise: every part of the sampling is a node."
    page = begin("comfy_sampler", "Samplers of ComfyUI", what, steps, note=400)
    page.column()
    page.open("Song by parts", WIDE, TALL)
    task = boxes.by_parts(page)
    page.close(task.shown)
    end(page, task, "comfy_sampler")
    return page
