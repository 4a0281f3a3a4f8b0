"""A real server under load: many prompts, two clients of which one vanishes, too little memory, and kill -9."""

import asyncio
import json
import os
import random
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from support.comfyui import hosted_graphs, task_graphs
from support.comfyui.graphs import Graph
from support.comfyui.server import Server
from support.tiny import adapters as tiny_adapters
from tools.hostile.plan import Plan
from tools.hostile.saving import half_files, is_part
from tools.hostile.starving import starve
from tools.hostile.verdict import Verdict

Prompt = Callable[[Graph, int, int], object]  # fills a graph, for a seed and so many steps

WARM = 100  # prompts until memory has found its size
DRIFT = 0.02  # of it, at most, after those


@dataclass(frozen=True)
class Process:
    """What the system says of a running server."""

    pid: int

    def memory(self) -> int:
        """Bytes that lie in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def address_space(self) -> int:
        """Bytes that it has reserved."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[0]) * resource.getpagesize()

    def handles(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def mixed(server: Server, dice: random.Random, seed: int) -> Graph:
    """A prompt of any kind; no two are equal, so that nothing comes out of the cache alone."""
    graph = server.graph()
    dice.choice(PROMPTS)(graph, seed, dice.randint(1, 3))
    return graph


def task_of(make: Callable[..., Any]) -> Prompt:
    """A task that our Sampler plays."""
    return lambda graph, seed, steps: make(graph, seed=seed, steps=steps)


def with_lora(graph: Graph, seed: int, steps: int) -> None:
    """A song with an adapter, whose strength is another each time: weights are patched and taken back."""
    song = task_graphs.text2music(graph, seed=seed, steps=steps)
    strength = seed % 20 / 10
    adapted = graph.add(
        "AceGraphLoadAdapter", model=song.load["model"], adapter=tiny_adapters.EXAMPLE, strength=strength
    )
    graph.change(song.sampler, model=adapted["model"])


def with_ksampler(graph: Graph, seed: int, steps: int) -> None:
    """ComfyUI's own sampler plays, on one and the same patcher."""
    load = task_graphs.opened(graph)
    conditions, source = task_graphs.encode(graph, load), task_graphs.silence(graph, load)
    hosted_graphs.ksampled(
        graph, hosted_graphs.handed(graph, load, conditions, source), steps=steps, seed=seed
    )


PROMPTS: tuple[Prompt, ...] = (
    *map(task_of, (task_graphs.text2music, task_graphs.cover, task_graphs.repaint, task_graphs.extend)),
    task_of(task_graphs.planned),
    task_of(task_graphs.edited),
    with_lora,
    with_ksampler,
)


def broken(server: Server) -> Graph:
    """A prompt that fails while it runs: words by wire are known no sooner."""
    graph = server.graph()
    words = graph.add("PrimitiveString", value="no codes")
    codes = graph.add("AceGraphCodesFromText", text=words[0])
    graph.add("PreviewAny", source=codes["report"])
    return graph


async def listen(server: Server, client: str, vanish: asyncio.Event) -> int:
    """Read what the server tells a client until it shall vanish, without a word. -> messages."""
    heard = 0
    url = f"http://127.0.0.1:{server.port}/ws?clientId={client}"
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(url, max_msg_size=0)
        while not vanish.is_set():
            try:
                await asyncio.wait_for(socket.receive(), 0.2)
                heard += 1
            except TimeoutError:
                continue
        if socket._response.connection and socket._response.connection.transport:
            socket._response.connection.transport.abort()  # no closing handshake
    return heard


@contextmanager
def furnished(base: Path, *options: str) -> Iterator[tuple[Server, Process]]:
    """A server whose folders hold the tiny models and a recording."""
    from support.comfyui import fetch

    with Server(fetch.comfyui_dir(), base, *options) as server:
        server.object_info()
        yield server, Process(server._process.pid)


def load(base: Path, plan: Plan) -> Verdict:
    """Mixed prompts, all of which have to end as they should; memory, handles and folders are the same at the end."""
    verdict, dice = Verdict("Load on a server", plan.limit), random.Random(plan.seed)
    task_graphs.record(base / "input")
    with furnished(base) as (server, process):
        verdict.begin()
        asyncio.run(prompts(server, process, plan, dice, verdict))
        starve(server, process, plan.starved, dice, verdict)
    parts = [path.name for kind in ("output", "temp") for path in (base / kind).rglob("*") if is_part(path)]
    verdict.expect(not parts, f"left {parts[:3]}")
    return verdict.ended()


async def prompts(
    server: Server, process: Process, plan: Plan, dice: random.Random, verdict: Verdict
) -> None:
    """Queue prompts in turns for two clients, and wait for each; one of them vanishes after a third."""
    clients, gone, over = [uuid.uuid4().hex for _ in range(2)], asyncio.Event(), asyncio.Event()
    ears = [
        asyncio.create_task(listen(server, client, event))
        for client, event in zip(clients, (gone, over), strict=True)
    ]
    lost, memory, handles = 0, list[int](), list[int]()
    for number in range(plan.prompts):
        if not verdict.may_go_on():
            break
        if number == plan.prompts // 3:
            gone.set()
        fails = dice.random() < 0.1
        graph = broken(server) if fails else mixed(server, dice, plan.seed + number)
        asked = await asyncio.to_thread(server.queue, graph, clients[number % 2])
        record = await asyncio.to_thread(server.history, asked["prompt_id"], 300)
        said = record["status"]["status_str"]
        lost += not verdict.expect(
            said == ("error" if fails else "success"), f"prompt {number} ended with {said}"
        )
        memory.append(process.memory())
        handles.append(process.handles())
    gone.set()
    over.set()
    heard = await asyncio.gather(*ears)
    verdict.cases += len(memory)
    verdict.expect(all(heard), "a client was told nothing")
    warm = min(WARM, len(memory) // 2)
    grown = memory[-1] / memory[warm] - 1
    verdict.seen.append(
        f"{len(memory)} prompts, {lost} lost; memory {memory[warm] >> 20} MB after {warm} of them, {memory[-1] >> 20} MB at the end "
        f"({grown:+.2%}); handles {handles[warm]} to {handles[-1]}"
    )
    if len(memory) > 2 * WARM:
        verdict.expect(grown <= DRIFT, f"memory grew by {grown:.2%}")
    verdict.expect(handles[-1] <= handles[warm] + 4, f"handles grew from {handles[warm]} to {handles[-1]}")


def server_kills(base: Path, plan: Plan) -> Verdict:
    """kill -9 of whole servers that save; every named file is whole, and the next start is clean."""
    verdict, dice = Verdict("kill -9 of the server", plan.limit), random.Random(plan.seed)
    task_graphs.record(base / "input", 1.5, "short.flac")
    folder, files = base / "output" / "hostile", 0
    for number in range(plan.server_kills):
        if not verdict.may_go_on():
            break
        with furnished(base) as (server, process):
            faults = server.failed_imports()
            verdict.expect(not faults, f"start {number} was not clean: {faults[:1]}")
            queue_saves(server, number)
            wait_for_file(folder, files)
            time.sleep(dice.uniform(0.0, 1.5))
            os.kill(process.pid, 9)
        verdict.expect(not half_files(folder), f"kill {number}: half files {half_files(folder)}")
        files = sum(not is_part(path) for path in folder.iterdir())
        verdict.cases += 1
    verdict.seen.append(f"{files} whole files in six formats")
    return verdict.ended()


def queue_saves(server: Server, number: int) -> None:
    """Many saves in every format, none of which is in the cache."""
    formats = json.loads(json.dumps(server.object_info()["AceGraphSaveAudio"]["input"]["required"]["format"]))
    options: list[Any] = (
        formats[1]["options"] if isinstance(formats[1], dict) and "options" in formats[1] else formats[0]
    )
    for turn in range(60):
        graph = server.graph()
        audio = graph.add("LoadAudio", audio="short.flac")
        for form in options:
            graph.add(
                "AceGraphSaveAudio",
                audio=audio[0],
                format=form,
                filename_prefix="hostile/song",
                fade_in=(number * 60 + turn) % 1000 / 1000,
            )
        server.queue(graph)


def wait_for_file(folder: Path, files: int, seconds: float = 60) -> None:
    """Until a new file is there."""
    deadline = time.monotonic() + seconds
    while not folder.is_dir() or sum(not is_part(path) for path in folder.iterdir()) <= files:
        if time.monotonic() > deadline:
            raise TimeoutError("the server saves nothing")
        time.sleep(0.05)
