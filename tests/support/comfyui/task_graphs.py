"""Graphs of every task on the tiny checkpoint, from words and sound to a file; for any Graph, in process or on a server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from support.comfyui import models as comfy_models
from support.comfyui.graphs import Graph, Node

SECONDS = 6.0
BRIEF, BRIEF_CODES = 2.0, 10  # of the song of every node, which is played some hundred times
ADAPTER_FILE = "for_every_network.safetensors"  # has to be put into models/loras
RECORDING, BRIEF_RECORDING = "recording.flac", "brief.flac"
TURBO, BASE = (comfy_models.layouts(variant)["official"] for variant in ("turbo", "base"))
PLANNED_SECONDS = 10.0  # the shortest song that a planner plans
FIELDS = ("caption", "lyrics", "language", "bpm", "key", "time_signature", "duration")
HEADS = '{"0": [0], "1": [1]}'  # of the tiny checkpoint, whose size has no published ones
CODES = "<|audio_code_5|><|audio_code_63999|>" * 15
Pickers = Mapping[str, str]
Link = list[Any]


class Song(NamedTuple):
    """The nodes that every graph of a task has."""

    load: Node
    sampler: Node
    decode: Node
    save: Node


def record(folder: Path, seconds: float = SECONDS, name: str = RECORDING) -> str:
    """A recording in ComfyUI's input folder; its name there."""
    if not (folder / name).is_file():
        rate = 48_000
        time = np.arange(round(seconds * rate)) / rate
        noise = np.random.default_rng(0).standard_normal(len(time))
        wave = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.02 * noise
        soundfile.write(folder / name, np.stack((wave, np.roll(wave, 30)), 1), rate)
    return name


def opened(graph: Graph, pickers: Pickers = TURBO) -> Node:
    return graph.add("AceGraphLoad", **{"weight_dtype": "fp32", **pickers})


def encode(graph: Graph, load: Node, task: str = "text2music", **fields: Any) -> Link:
    words = {"caption": "slow piano", "task": task, **fields}
    return graph.add("AceGraphEncodeConditions", text_encoder=load["text_encoder"], **words)["conditions"]


def silence(graph: Graph, load: Node, songs: int = 1, seconds: float = SECONDS) -> Link:
    return graph.add("AceGraphSilenceLatent", model=load["model"], seconds=seconds, batch_size=songs)[
        "latent"
    ]


def heard(graph: Graph, load: Node, name: str = RECORDING, tile: str = "auto") -> tuple[Node, Link]:
    """Load Audio, and what Oobleck Encode makes of it."""
    audio = graph.add("LoadAudio", audio=name)
    latent = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=audio[0], tile=tile)
    return audio, latent["latent"]


def finished(
    graph: Graph, load: Node, conditions: Link, source: Link, tile: str = "auto", **sampling: Any
) -> Song:
    """Sampler, decoder and saver behind conditions and source."""
    settings = {"steps": 2, "guidance": 1.0, **sampling}
    sampler = graph.add(
        "AceGraphSampler", model=load["model"], conditions=conditions, source=source, **settings
    )
    decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=sampler["latent"], tile=tile)
    save = graph.add(
        "AceGraphSaveAudio", audio=decode["audio"], conditions=conditions, filename_prefix="test/song"
    )
    return Song(load, sampler, decode, save)


# ------------------------------------------------------------------------------------------------------ tasks
def text2music(graph: Graph, pickers: Pickers = TURBO, seconds: float = SECONDS, **sampling: Any) -> Song:
    load = opened(graph, pickers)
    conditions = encode(graph, load, lyrics="[Verse]\nla la")
    return finished(graph, load, conditions, silence(graph, load, seconds=seconds), **sampling)


def cover(graph: Graph, pickers: Pickers = TURBO, name: str = RECORDING, **sampling: Any) -> Song:
    tile = sampling.get("tile", "auto")
    load = opened(graph, pickers)
    _, latent = heard(graph, load, name, tile)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    conditions = encode(graph, load, "cover", source=latent)
    return finished(graph, load, conditions, hints["latent"], **sampling)


def repaint(graph: Graph, pickers: Pickers = TURBO, **sampling: Any) -> Song:
    load = opened(graph, pickers)
    _, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)
    conditions = encode(graph, load, "repaint", source=latent)
    return finished(graph, load, conditions, latent, mask=mask["mask"], **sampling)


def extend(graph: Graph, pickers: Pickers = TURBO, **sampling: Any) -> Song:
    """One second before the recording and two after it."""
    load = opened(graph, pickers)
    _, latent = heard(graph, load)
    longer = graph.add("AceGraphExtend", model=load["model"], latent=latent, before=1.0, after=2.0)
    conditions = encode(graph, load, "extend", source=longer["latent"])
    return finished(graph, load, conditions, longer["latent"], mask=longer["mask"], **sampling)


def edited(graph: Graph, pickers: Pickers = TURBO, task: str = "text2music", **editing: Any) -> Node:
    """Edit Song on the recording, between two captions; its latent and report are shown."""
    load = opened(graph, pickers)
    _, latent = heard(graph, load)
    sides = {
        f"{side}_conditions": encode(graph, load, task, caption=caption, source=latent)
        for side, caption in (("source", "slow piano"), ("target", "fast drums and bass"))
    }
    node = graph.add("AceGraphEdit", model=load["model"], source=latent, **{**sides, **editing})
    graph.add("PreviewAny", source=node["report"])
    return node


def lego(graph: Graph, pickers: Pickers = BASE, name: str = RECORDING, **sampling: Any) -> Song:
    load = opened(graph, pickers)
    _, latent = heard(graph, load, name)
    conditions = encode(graph, load, "lego", tracks="drums", source=latent)
    return finished(graph, load, conditions, latent, **{"guidance": 7.0, **sampling})


def planned(graph: Graph, pickers: Pickers = TURBO, **sampling: Any) -> Song:
    """Two songs whose figures and codes a planner wrote, as short as a plan may be."""
    load, planner = opened(graph, pickers), woken(graph)
    words = {"caption": "slow piano", "lyrics": "[Verse]\nla la", "duration": PLANNED_SECONDS}
    plan = graph.add("AceGraphPlan", planner=planner, enrich_caption=False, seed=3, **words)
    composed = graph.add("AceGraphComposeCodes", planner=planner, plan=plan["plan"], songs=2, **words)
    told = {name: plan[name] for name in FIELDS}
    encoded = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], codes=composed["codes"], **told
    )
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=composed["codes"])
    return finished(graph, load, encoded["conditions"], hints["latent"], **sampling)


def woken(graph: Graph, name: str = comfy_models.PLANNER_FOLDER) -> Link:
    """What Load Planner gives."""
    return graph.add("AceGraphLoadPlanner", planner=name, weight_dtype="fp32")["planner"]


# ------------------------------------------------------------------------------------------ every node at once
def shown_at_last(graph: Graph, new: Any, original: Any, mask: Any, **told: Link) -> None:
    """Songs spliced, seen as a wave, and played; and a sheet of one pair, whose label is shown."""
    graph.add("PreviewAny", source=graph.add("AceGraphSheet", seeds="3", values="0.5")["label"])
    splice = graph.add("AceGraphSplice", new=new, original=original, mask=mask)
    region = graph.add("AceGraphRegion", audio=splice["audio"])
    graph.add("AceGraphPreviewAudio", audio=region["audio"], **told)


def everything(graph: Graph, codes_file: str) -> dict[str, Node]:
    """A graph in which every node occurs with every socket wired: class -> the node.

    codes_file: a file of codes for Load Codes, of as brief a song as the recording. The task is text2music, which needs
    neither mask nor codes and may have both.
    """
    load = opened(graph, BASE)
    planner, adapted = adapted_everywhere(graph, load)
    recording, latent = heard(graph, load, BRIEF_RECORDING)
    timbre = graph.add("AceGraphReferenceTimbre", audio=recording[0], vae=load["vae"])
    made = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    written = graph.add("AceGraphCodesToText", codes=made["codes"])
    read = graph.add("AceGraphCodesFromText", text=written["text"])
    kept = graph.add("AceGraphSaveCodes", codes=read["codes"])
    stored = graph.add("AceGraphLoadCodes", file=codes_file)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=stored["codes"])
    quiet = silence(graph, load, seconds=BRIEF)
    longer = graph.add("AceGraphExtend", model=load["model"], latent=latent)
    drawn = graph.add("SolidMask", value=1.0, width=512, height=64)
    mask = graph.add("AceGraphChunkMask", latent=latent, mask=drawn[0], start=0.8, end=1.2)
    retake = graph.add("AceGraphRetake", latent=latent)
    extras = graph.add("AceGraphSamplingExtras", norm_clamp=2.0)
    wires = {"text_encoder": load["text_encoder"], "source": latent, "codes": stored["codes"]}
    words = {"caption": "drums", "lyrics": "[Verse]\nla la", "task": "text2music", "global_caption": "rock"}
    conditions = graph.add("AceGraphEncodeConditions", **wires, timbre=timbre["timbre"], **words)
    joined = graph.add(
        "AceGraphBatchConditions",
        **dict.fromkeys(("first", "second", "third", "fourth"), conditions["conditions"]),
    )
    graph.add("PreviewAny", source=joined["conditions"])
    times = graph.add("KarrasScheduler", steps=2, sigma_max=1.0, sigma_min=0.2, rho=3.0)
    song = finished(
        graph,
        load,
        conditions["conditions"],
        hints["latent"],
        second_conditions=conditions["conditions"],
        mask=mask["mask"],
        noise=retake["noise"],
        start_from=quiet,
        sigmas=times[0],
        extras=extras["extras"],
        preview_vae=load["vae"],
        guidance=3.0,
    )
    edit = graph.add(
        "AceGraphEdit",
        model=load["model"],
        source_conditions=conditions["conditions"],
        target_conditions=conditions["conditions"],
        source=latent,
        context=hints["latent"],
        mask=mask["mask"],
        sigmas=times[0],
        extras=extras["extras"],
    )
    handed = graph.add(
        "AceGraphToModel",
        model=load["model"],
        conditions=conditions["conditions"],
        negative_conditions=conditions["conditions"],
        source=hints["latent"],
        mask=mask["mask"],
    )
    told = {"conditions": conditions["conditions"]}
    told["times"] = listened_to(
        graph, load, planner, told["conditions"], song, codes=stored["codes"], mask=mask["mask"]
    )
    shown_at_last(graph, song.decode["audio"], recording[0], mask["mask"], **told)
    for output in (
        edit["report"],
        handed["report"],
        adapted["report"],
        longer["latent"],
        kept["report"],
        *everything_planned(graph, planner, stored["codes"]),
    ):
        graph.add("PreviewAny", source=output)
    return nodes_of(graph)


def listened_to(
    graph: Graph, load: Node, planner: Link, conditions: Link, song: Song, codes: Link, mask: Link
) -> Link:
    """Every node that listens to the song; the times of its words."""
    played = {
        "model": load["model"],
        "conditions": conditions,
        "latent": song.sampler["latent"],
        "mask": mask,
    }
    known = {**played, "source": song.sampler["latent"], "heads": HEADS}
    times = graph.add("AceGraphLyricTimes", **known)
    lyrics = graph.add("AceGraphSaveLyrics", times=times["times"], filename_prefix="test/song")
    graph.change(song.save, times=times["times"])
    plan = graph.add("PrimitiveString", value="bpm: 90")
    scored = graph.add("AceGraphScoreTakes", planner=planner, codes=codes, plan=plan[0], **known)
    batch = {"latent": song.sampler["latent"], "audio": song.decode["audio"], "codes": codes}
    picked = graph.add(
        "AceGraphPickTake", **batch, times=times["times"], order=scored["order"], index=scored["best"]
    )
    for output in (lyrics["report"], picked["report"]):
        graph.add("PreviewAny", source=output)
    return times["times"]


def adapted_everywhere(graph: Graph, load: Node) -> tuple[Link, Node]:
    """A planner, and an adapter for every network that takes one."""
    planner = woken(graph)
    both = {name: load[name] for name in ("model", "text_encoder")}
    return planner, graph.add("AceGraphLoadAdapter", planner=planner, adapter=ADAPTER_FILE, **both)


def everything_planned(graph: Graph, planner: Link, codes: Link) -> list[Link]:
    """Every node of a planner, off the way to the song, and what they say."""
    words = {"caption": "slow piano", "duration": PLANNED_SECONDS, "instrumental": True}
    plan = graph.add("AceGraphPlan", planner=planner, enrich_caption=False, **words)
    nodes = (
        graph.add("AceGraphComposeCodes", planner=planner, plan=plan["plan"], **words),
        graph.add("AceGraphUnderstand", planner=planner, codes=codes),
        graph.add("AceGraphInspire", planner=planner, wish="a sea shanty", instrumental=True),
        graph.add("AceGraphFormat", planner=planner, **words),
    )
    return [node["report"] for node in nodes]


def nodes_of(graph: Graph) -> dict[str, Node]:
    """Our nodes of a graph in which each occurs once."""
    classes = [(key, node["class_type"]) for key, node in graph.prompt.items()]
    ours = {kind: Node(key, ()) for key, kind in classes if kind.startswith("AceGraph")}
    assert len(ours) == sum(kind.startswith("AceGraph") for _, kind in classes)
    return ours
