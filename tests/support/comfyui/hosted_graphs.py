"""Graphs in which ComfyUI's own samplers play the tiny checkpoint."""

from typing import Any

from support.comfyui.graphs import Graph, Node
from support.comfyui.task_graphs import Link


def handed(graph: Graph, load: Node, conditions: Link, source: Link, **more: Any) -> Node:
    """To ComfyUI Model."""
    return graph.add("AceGraphToModel", model=load["model"], conditions=conditions, source=source, **more)


def sampled(
    graph: Graph,
    wires: Node,
    cfg: float = 1.0,
    steps: int = 8,
    sampler: str = "euler",
    scheduler: str = "simple",
    **more: Any,
) -> Link:
    """SamplerCustomAdvanced with our noise; the latent."""
    guider = graph.add(
        "CFGGuider",
        model=more.get("model", wires["model"]),
        positive=more.get("positive", wires["positive"]),
        negative=more.get("negative", wires["negative"]),
        cfg=cfg,
    )
    sigmas = graph.add(
        "BasicScheduler",
        model=more.get("model", wires["model"]),
        scheduler=scheduler,
        steps=steps,
        denoise=more.get("denoise", 1.0),
    )
    chosen = graph.add("KSamplerSelect", sampler_name=sampler)
    custom = graph.add(
        "SamplerCustomAdvanced",
        noise=wires["noise"],
        guider=guider[0],
        sampler=chosen[0],
        sigmas=sigmas[0],
        latent_image=more.get("latent", wires["latent"]),
    )
    graph.add("PreviewAny", source=wires["report"])
    graph.add("PreviewAny", source=custom[0])
    return custom[0]


def ksampled(graph: Graph, wires: Node, cfg: float = 1.0, steps: int = 8, **more: Any) -> Node:
    """KSampler, as the Sampler plays: euler, simple."""
    inputs = {name: wires[name] for name in ("model", "positive", "negative")}
    how = {
        "seed": 4,
        "steps": steps,
        "cfg": cfg,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
    }
    node = graph.add("KSampler", latent_image=wires["latent"], **{**inputs, **how, **more})
    graph.add("PreviewAny", source=wires["report"])
    graph.add("PreviewAny", source=node[0])
    return node
