"""A server that gets hardly any more address space says so in our words, whichever node it was, and plays on afterwards."""

import random
import resource
from collections.abc import Callable
from typing import Any

from support.comfyui import task_graphs
from support.comfyui.graphs import Graph, Node
from support.comfyui.server import Server
from tools.hostile.verdict import Verdict

ROOM = 12 << 20  # bytes of address space that a starving server gets
SECONDS = 100.0  # of a song that does not fit into that
LONG = "long.flac"
FULL = "ACE-Step.DeviceFullError"

Work = tuple[str, dict[str, Any], str]  # a node, its inputs, and the output that is asked for


def song(graph: Graph) -> None:
    """All of a song at once, which starves for certain."""
    task_graphs.text2music(graph, seconds=SECONDS, steps=1, seed=987)


def decoded(graph: Graph) -> Work:
    load = task_graphs.opened(graph)
    latent = task_graphs.silence(graph, load, seconds=SECONDS)
    return "AceGraphOobleckDecode", {"vae": load["vae"], "latent": latent}, "audio"


def encoded(graph: Graph) -> Work:
    load, audio = task_graphs.opened(graph), graph.add("LoadAudio", audio=LONG)
    return "AceGraphOobleckEncode", {"vae": load["vae"], "audio": audio[0]}, "latent"


def coded(graph: Graph) -> Work:
    load = task_graphs.opened(graph)
    latent = task_graphs.silence(graph, load, seconds=SECONDS)
    return "AceGraphAudioToCodes", {"model": load["model"], "latent": latent}, "codes"


def composed(graph: Graph) -> Work:
    words = {"caption": "slow piano", "duration": task_graphs.PLANNED_SECONDS, "songs": 8}
    return "AceGraphComposeCodes", {"planner": task_graphs.woken(graph), **words}, "codes"


def timed(graph: Graph) -> Work:
    load, latent, conditions = played(graph)
    wires = {"model": load["model"], "conditions": conditions, "latent": latent}
    return "AceGraphLyricTimes", {**wires, "heads": task_graphs.HEADS}, "times"


def edited(graph: Graph) -> Work:
    load, latent, conditions = played(graph)
    sides = dict.fromkeys(("source_conditions", "target_conditions"), conditions)
    return "AceGraphEdit", {"model": load["model"], "source": latent, **sides}, "latent"


def played(graph: Graph) -> tuple[Node, task_graphs.Link, task_graphs.Link]:
    """A model, a long latent, and conditions with words."""
    load = task_graphs.opened(graph)
    latent = task_graphs.silence(graph, load, seconds=SECONDS)
    return load, latent, task_graphs.encode(graph, load, lyrics="[Verse]\nla la la")


WORKS: tuple[Callable[[Graph], Work], ...] = (decoded, encoded, coded, composed, timed, edited)


def starve(server: Server, process: Any, works: int, dice: random.Random, verdict: Verdict) -> None:
    """Under a real limit of the address space a song says that it does not fit; single nodes say so, or need less.

    works: how many of the single nodes, drawn. What they are given is made before, and lies in ComfyUI's cache.
    """
    said = list[str]()
    graph = server.graph()
    song(graph)  # first: a server that has never been full has no room of its own, and single nodes end it
    said.append(hungry(server, process, graph, "a song", verdict))
    verdict.expect(said[0] == FULL, f"a starving server says {said[0] or 'nothing'} of a song")
    task_graphs.record(server.base / "input", SECONDS, LONG)
    for work in dice.sample(WORKS, min(works, len(WORKS))):
        before, whole = server.graph(), server.graph()
        for shown in before, whole:
            kind, inputs, output = work(shown)
            if shown is whole:
                shown.add("PreviewAny", source=shown.add(kind, **inputs)[output])
            else:
                for link in inputs.values():
                    if isinstance(link, list):
                        shown.add("PreviewAny", source=link)
        verdict.expect(
            server.run(before).last == "execution_success", f"{work.__name__} has nothing to work on"
        )
        said.append(hungry(server, process, whole, work.__name__, verdict))
    verdict.seen.append(
        f"with {ROOM >> 20} MB of address space left, {SECONDS:g} s: a song said that it does not fit; of {len(said) - 1} "
        f"single nodes {said[1:].count(FULL)} said so, {said[1:].count('')} found room"
    )


def hungry(server: Server, process: Any, graph: Graph, name: str, verdict: Verdict) -> str:
    """What a prompt ends with under the limit: the error's kind, or nothing; without the limit it has to succeed."""
    before = resource.prlimit(process.pid, resource.RLIMIT_AS)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (process.address_space() + ROOM, before[1]))
    try:
        done = server.run(graph)
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_AS, before)
    failure = dict(done.events).get("execution_error", {})
    kind = str(failure.get("exception_type", done.last)) if done.last != "execution_success" else ""
    verdict.expect(kind in ("", FULL), f"{name}: a starving server says {kind}: {done.error[:200]}")
    again = server.run(graph) if kind else done
    verdict.expect(
        again.last == "execution_success", f"{name} does not play once there is memory: {again.error[:200]}"
    )
    verdict.cases += 1
    return kind
