"""What many songs cost beyond the songs: a row against the same prompt on a warm server, three workers against one, starts.

Needs Ray and a ComfyUI, which `make bench` has put beside the environment. The tiny model plays the most of it; songs of ten
seconds are played by one of the published size as well, with random weights: 8 GB on the disk, and once in memory.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from batch.columns import Columns
from batch.graphs import Graph, changed, changed_workflow, find_graph, read_graph
from batch.manifest import FILE, Manifest
from batch.plan import Planner
from batch.players import describe
from batch.players.comfy_host import Installation, version_of
from batch.players.core_player import core_graph
from batch.players.graph_player import GraphRecipe
from batch.run import collect
from benchmarks.cards.hosted import write_split
from benchmarks.cards.sizes import size
from benchmarks.harness import ROOT, Row
from support.comfyui import fetch, models
from support.comfyui import host as comfy_host
from support.comfyui.server import Server
from tools.workflows import build as example_workflows

RAY = Path(sys.prefix) / "ray"
SECONDS = 2  # of a song
ROWS = 40
LONGER, FEW = 10, 5  # seconds of a song on the model of published size, and rows
LONG = 10_000
VERSION = version_of(ROOT)


def run(quick: bool) -> list[Row]:
    """Play the same rows on a server and by workers, then start where nothing is left."""
    sys.path.append(str(RAY))
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (RAY, ROOT, ROOT / "tests")))
    count = 4 if quick else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base = example_workflows.prepared(folder / "comfyui")
        where = Installation(fetch.comfyui_dir(), base, cpu=True)
        graph, rows = described(where), table(count, SECONDS)
        server = on_server(where, graph, rows)
        one, three = (by_workers(folder / f"by{n}", graph, where, rows, n).row for n in (1, 3))
        again, start = second_run(folder, 4 if quick else ROWS, left=0), second_run(folder, LONG, left=10)
        shares = of_real_size(folder / "real", quick)
    item = f"{count} songs of {SECONDS} s, tiny model"
    details = {"server_s": server, "one_s": one, "three_s": three}
    return [
        Row(f"{item}: a row beyond a warm server", 1000 * (one - server), "ms", None, 100, False, details),
        Row(f"{item}: 3 workers, times as fast as 1", one / three),
        *shares,
        Row("a second run, in which nothing is left", again, "s", None, 5, more_is_better=False),
        Row(f"a look at {LONG} rows of which 10 are left", start, "s", None, 10, more_is_better=False),
    ]


def described(where: Installation) -> Graph:
    """The template that is played."""
    return describe.graph_of(read_graph(find_graph("Song, node by node")), where, None, VERSION)


def table(count: int, seconds: float) -> list[dict[str, Any]]:
    """So many rows, each a song of its own."""
    length = "AceGraphSilenceLatent.seconds"
    return [{"name": f"s{n}", "Words.caption": f"song {n}", length: seconds, "seed": n} for n in range(count)]


class Pace(NamedTuple):
    """Seconds from one row to the next, and what of them its worker played."""

    row: float
    played: float


def of_real_size(folder: Path, quick: bool) -> list[Row]:
    """What a row costs beyond the server's where the model has the published size; server and worker one after the other.

    Both play with the same code, but not in the same minutes: what a row takes beyond what its worker plays is told as
    well, for it does not depend on how fast the machine was just then.
    """
    base = models.make_base(folder, comfy_host.PACK)
    write_split(size(tiny=quick), base / "models")
    where, rows = Installation(fetch.comfyui_dir(), base, cpu=True), table(3 if quick else FEW, LONGER)
    graph = described(where)
    server = on_server(where, graph, rows)
    one = by_workers(
        folder / "out", graph, where, rows, 1, torch.get_num_threads()
    )  # as many as the server has
    item = (
        f"{len(rows)} songs of {LONGER} s, {'tiny' if quick else 'random'} weights of ComfyUI's three files"
    )
    details = {"server_s": server, "one_s": one.row, "played_s": one.played}
    beyond, around = (100 * (one.row / seconds - 1) for seconds in (server, one.played))
    return [
        Row(f"{item}: a row beyond a warm server, share", beyond, "%", None, 3, False, details),
        Row(f"{item}: a row beyond what its worker plays, share", around, "%", None, 3, False, details),
    ]


def on_server(where: Installation, graph: Graph, rows: Sequence[dict[str, Any]]) -> float:
    """Seconds for a row, without the first, on a server that is asked for one after the other."""
    columns, taken = Columns(graph), list[float]()
    with Server(where.comfyui, where.base or where.comfyui) as server:
        for row in rows:
            changes = columns.changes(row.items())
            workflow = changed_workflow(graph.workflow or {}, changes)
            started = time.perf_counter()
            server.run(changed(graph.prompt, changes), workflow=workflow)
            taken.append(time.perf_counter() - started)
    return statistics.fmean(taken[1:])


def by_workers(
    folder: Path,
    graph: Graph,
    where: Installation,
    rows: Sequence[dict[str, Any]],
    workers: int,
    cpus: int = 1,
) -> Pace:
    """What a row takes once every worker is there: from the last of their first rows to the end, and what of it was played."""
    from batch import cluster

    pool, ends, seen = cluster.Pool(workers, gpus=0, cpus=cpus, address=None), list[float](), set[str]()
    played, begun = list[float](), 0

    def watched() -> Any:
        nonlocal begun
        for outcome in cluster.outcomes(plan, GraphRecipe(graph, where), VERSION, pool):
            yield outcome  # and back when it is in the folder
            ends.append(time.perf_counter())
            played.append(outcome.seconds)
            if outcome.worker not in seen:
                seen.add(outcome.worker)
                begun = len(ends) - 1

    with Manifest(folder) as manifest, cluster.joined(pool):
        plan = Planner(graph, VERSION, manifest).plan(rows, folder.with_suffix(".songs"))
        collect(plan, watched(), manifest, VERSION, lambda _: None)
    each = (ends[-1] - ends[begun]) / max(1, len(ends) - 1 - begun)
    return Pace(each, statistics.fmean(played[begun + 1 :] or played))


def second_run(folder: Path, count: int, left: int) -> float:
    """Seconds of the whole command over a table of which all but the last rows are done."""
    checkpoint, out = folder / "checkpoint", folder / f"out{count}"
    rows = [{"name": f"s{n}", "caption": f"song {n}", "seed": n} for n in range(count)]
    table = folder / f"{count}.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with Manifest(out) as manifest:
        planner = Planner(core_graph(checkpoint), VERSION, manifest)
        songs = [planner.song(row["name"], n, row) for n, row in enumerate(rows, 1)]
    done = [
        {"name": song.name, "key": song.key, "state": "done", "files": []} for song in songs[: count - left]
    ]
    (out / FILE).write_text("".join(json.dumps(line) + "\n" for line in done), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "batch",
        str(checkpoint),
        str(table),
        "--out",
        str(out),
        "--core",
        "--dry-run",
    ]
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started
