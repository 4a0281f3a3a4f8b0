"""Rows over workers that are real processes, on a cluster of three nodes: whoever dies, every row ends once, with the same bits."""

import gc
import gzip
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batch.columns import Columns
from batch.graphs import api_graph, changed, changed_workflow
from batch.manifest import DONE, FAILED, Manifest, records
from batch.plan import Planner
from batch.players import describe
from batch.players.comfy_host import Installation
from batch.players.core_player import CoreRecipe, core_graph
from batch.players.graph_player import GraphRecipe
from batch.run import TRIES, UnfitWorkerError, collect
from support.batch.players import DEADLY, POISON, PROMPT, Recipe, plays
from support.comfyui.server import Server
from support.tiny import checkpoint as tiny_checkpoint
from tools.workflows import build as example_workflows

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings
VERSION = "0.1.0"
KILLS = int(os.environ.get("ACEGRAPH_KILLS", "3"))  # 20 pass too, in five times the time
STORE = 80 << 20
FEW, MANY = 40, int(os.environ.get("ACEGRAPH_ROWS", "240"))  # rows after which the driver is looked at
SONG = 256_000  # bytes
MOST_GROWN = 16 << 20  # bytes between them: a third of the songs, several times what allocators take
NODES = 3


@pytest.fixture(scope="module")
def cluster(ray_environment: None) -> Iterator[str]:
    """Three nodes of one processor each on this machine, and the address; nothing of them is left."""
    import ray
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": STORE}
    nodes = Cluster(initialize_head=True, connect=False, head_node_args={**size, "include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            nodes.add_node(**size)
        ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
        yield nodes.address
    finally:
        ray.shutdown()
        nodes.shutdown()


def play(folder: Path, graph, rows, recipe, workers: int, watch=iter, **more) -> dict[str, dict]:
    """Play a table into a folder; the records by name. watch: looks at every outcome that passes."""
    from batch import cluster as ray_cluster

    pool = ray_cluster.Pool(workers, gpus=0, cpus=1, address="auto")
    songs = folder.parent / f"{folder.name}.songs"
    songs.unlink(missing_ok=True)
    with Manifest(folder) as manifest:
        plan = Planner(graph, VERSION, manifest, **more).plan(rows, songs)
        outcomes = watch(ray_cluster.outcomes(plan, recipe, VERSION, pool))
        collect(plan, outcomes, manifest, VERSION, lambda line: None)
    found = list(records(folder))
    assert sorted(one["name"] for one in found) == sorted(row["name"] for row in rows)  # each exactly once
    return {one["name"]: one for one in found}


def sums(found: dict[str, dict]) -> dict[str, list[str]]:
    return {name: one["sha256"] for name, one in found.items()}


def hosts(found: dict[str, dict]) -> set[str]:
    return {one["worker"] for one in found.values()}


def test_forty_songs_have_the_same_bits_over_one_and_three_workers(cluster, tmp_path):
    folder = tiny_checkpoint.build(tmp_path / "tiny") / "official" / "acestep-v15-turbo"
    graph, recipe = core_graph(folder), CoreRecipe(folder, on_gpu=False)
    rows = [
        {"name": f"s{number}", "caption": f"song {number}", "duration": 1 + number % 3 / 4, "seed": number}
        for number in range(40)
    ]
    one = play(tmp_path / "one", graph, rows, recipe, workers=1)
    three = play(tmp_path / "three", graph, rows, recipe, workers=3)
    assert {entry["state"] for entry in one.values()} == {DONE}
    assert len(set(map(tuple, sums(one).values()))) == 40
    assert sums(one) == sums(three)
    assert (len(hosts(one)), len(hosts(three))) == (1, 3)
    for entry in three.values():
        (file,) = entry["files"]
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "three" / file).read_bytes()
    with Manifest(tmp_path / "three") as manifest:
        again = Planner(graph, VERSION, manifest).plan(rows, tmp_path / "songs")
        assert (again.left, again.finished, list(again.waiting())) == (0, 40, [])


class Killer(threading.Thread):
    """Kills workers while they play, at random; no row so often that it would be given up."""

    def __init__(self, folder: Path, kills: int) -> None:
        super().__init__(daemon=True)
        self._folder, self._left, self._random = folder, kills, random.Random(0)
        self.killed: Counter[str] = Counter()
        self.done = threading.Event()

    def run(self) -> None:
        seen = 0
        while self._left and not self.done.wait(0.02):
            begun = plays(self._folder)
            if len(begun) > seen:
                seen = len(begun)
                time.sleep(self._random.uniform(0, 0.2))
                process, caption = begun[-1]
                if self.killed[caption] < TRIES - 2:
                    try:
                        os.kill(process, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                    self.killed[caption] += 1
                    self._left -= 1


def test_workers_that_are_killed_lose_nothing_and_a_deadly_row_takes_no_other_with_it(cluster, tmp_path):
    rows = [{"name": f"s{number}", "1.caption": f"song {number}", "seed": number} for number in range(40)]
    rows[5]["1.caption"], rows[11]["1.caption"] = POISON, DEADLY
    graph, killer = api_graph(PROMPT), Killer(tmp_path, KILLS)
    killer.start()
    found = play(tmp_path / "out", graph, rows, Recipe(tmp_path, seconds=0.25), workers=3)
    killer.done.set()
    killer.join()
    assert killer.killed.total() == KILLS
    failed = {name: one["error"] for name, one in found.items() if one["state"] == FAILED}
    assert failed == {
        "s5": "It is poisoned. Throw it away.",
        "s11": f"Its worker died {TRIES} times: it was killed, or memory was short.",
    }
    counts = Counter(caption for _, caption in plays(tmp_path))
    assert counts[DEADLY] == TRIES
    assert counts[POISON] == 1 + killer.killed[POISON]
    calm = play(
        tmp_path / "calm",
        graph,
        [row for row in rows if row["name"] not in failed],
        Recipe(tmp_path),
        workers=1,
    )
    assert sums(calm) == {name: one["sha256"] for name, one in found.items() if name not in failed}
    seen = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    named = {file for one in found.values() for file in one["files"]}
    assert seen - {"manifest.jsonl", ".lock"} == named


def test_the_drivers_memory_does_not_grow_with_the_table(cluster, tmp_path):
    """Of what it alone holds, without pages that it shares with Ray's store; the songs between both looks are more than may be kept."""
    held = {}

    def watch(outcomes):
        for number, outcome in enumerate(outcomes, 1):
            yield outcome
            if number in (FEW, MANY):
                gc.collect()
                held[number] = psutil.Process().memory_full_info().uss

    rows = ({"name": f"s{number}", "1.caption": f"song {number}", "seed": number} for number in range(MANY))
    recipe = Recipe(tmp_path, size=SONG)
    play(tmp_path / "out", api_graph(PROMPT), list(rows), recipe, workers=3, watch=watch)
    assert MOST_GROWN < SONG * (MANY - FEW) / 3
    assert held[MANY] - held[FEW] < MOST_GROWN


def test_a_worker_that_can_play_nothing_says_why_and_blames_no_row(cluster, tmp_path):
    rows = [{"name": "a", "1.caption": "a"}]
    with pytest.raises(UnfitWorkerError, match=r"Worker .*: There is no checkpoint\. Mend it\."):
        play(
            tmp_path / "out",
            api_graph(PROMPT),
            rows,
            Recipe(tmp_path, fault="There is no checkpoint."),
            workers=1,
        )
    assert list(records(tmp_path / "out")) == []


def test_a_pool_that_the_cluster_has_no_room_for_is_refused(cluster):
    from acestep_core.errors import InvalidInputError
    from batch import cluster as ray_cluster

    ray_cluster.require_room(ray_cluster.Pool(3, gpus=0, cpus=1, address="auto"))
    for pool, kind in (
        (ray_cluster.Pool(4, 0, 1, "auto"), "CPU"),
        (ray_cluster.Pool(1, 1, 1, "auto"), "GPU"),
    ):
        with pytest.raises(InvalidInputError, match=kind):
            ray_cluster.require_room(pool)


OLD_TEMPLATES = Path(__file__).parents[1] / "fixtures" / "old_templates.json.gz"


@pytest.mark.long
def test_a_graph_plays_as_on_a_server_and_says_what_a_worker_lacks(
    cluster, comfyui_dir, tmp_path, monkeypatch
):
    base = example_workflows.prepared(tmp_path / "comfyui")
    where = Installation(comfyui_dir, base, cpu=True)
    with gzip.open(OLD_TEMPLATES) as stored:  # one with every node in sight
        content = json.load(stored)["reference_timbre"]
    graph = describe.graph_of(content, where, tmp_path, VERSION)
    with monkeypatch.context() as patch:
        patch.setattr(describe, "asked", None)  # ComfyUI is not started for what it told before
        assert describe.graph_of(content, where, tmp_path, VERSION) == graph
    song = {"Words.caption": "bells", "13.seconds": 1.5}
    rows = [
        {"name": "first", **song, "seed": 1},
        {"name": "second", **song, "seed": 2},
        {"name": "twin", **song, "seed": 2},  # the same prompt again, which ComfyUI has in its cache
        {"name": "lost", **song, "Your recording.audio": "voice.wav"},
        {"name": "unknown", **song, "Load ACE-Step.model": "none.safetensors"},
        {"name": "wrong", **song, "Words.bpm": "1000"},
    ]
    found = play(tmp_path / "out", graph, rows, GraphRecipe(graph, where), workers=1)
    errors = {name: one["error"] for name, one in found.items() if one["error"]}
    assert set(errors) == {"lost", "unknown", "wrong"}
    assert f"voice.wav is not in the input folder of this worker, {base / 'input'}." in errors["lost"]
    assert "none.safetensors" in errors["unknown"]
    assert errors["wrong"] == "Words.bpm cannot be 1000. The highest value is 300."
    assert found["second"]["sha256"] == found["twin"]["sha256"] != found["first"]["sha256"]
    assert not list((base / "output").rglob("*.flac"))  # a worker keeps its files to itself
    three = play(tmp_path / "three", graph, rows[:3], GraphRecipe(graph, where), workers=3)
    assert sums(three) == {name: found[name]["sha256"] for name in three}
    assert len(hosts(three)) == 3

    columns = Columns(graph)
    with Server(comfyui_dir, base) as server:
        for row in rows[:2]:
            changes = columns.changes(row.items())
            workflow = changed_workflow(graph.workflow, changes)
            done = server.run(changed(graph.prompt, changes), workflow=workflow)
            (entry,) = (one for shown in done.ui.values() for one in shown.get("audio", ()))
            stored = base / "output" / entry["subfolder"] / entry["filename"]
            assert stored.read_bytes() == (tmp_path / "out" / f"{row['name']}.flac").read_bytes()
