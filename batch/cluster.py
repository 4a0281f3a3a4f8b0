"""Rows over workers, by Ray: its Data streams them through actors that hold a player each. The one module that knows Ray."""

import contextlib
import json
import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow
import ray
import ray.data
import ray.exceptions
import torch
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.util.annotations import RayDeprecationWarning

from acestep_core.errors import InvalidInputError

from .plan import Plan, Song, sentence_of
from .players.player import Player, Recipe
from .publish import File
from .run import TRIES, Outcome, UnfitWorkerError

STORE = 512 << 20  # bytes of Ray's shared memory on one machine: some songs on their way to the folder
READER_CPU = 0  # of the task that reads rows: every processor is left to workers
START_SECONDS = 600  # within which the workers have to be there


@dataclass(frozen=True)
class Pool:
    """How many workers, and what each may use."""

    workers: int
    gpus: float  # each
    cpus: int  # each; as many threads, whatever the number of workers, so that sums are added in one order
    address: str | None  # None: this machine alone


class Waiting(Datasource):
    """The rows that are left, read from the driver's disk one by one while workers ask for them."""

    def __init__(self, songs: Path) -> None:
        super().__init__()
        self._songs = str(songs)

    def estimate_inmemory_data_size(self) -> int | None:
        """Of no interest: every block is one row."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ARG002
        """One task, so that rows come in their order."""
        path = self._songs

        def read() -> Iterator[pyarrow.Table]:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  (nothing of this module is needed there)
                for line in file:
                    yield pyarrow.table({"song": [line]})

        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, unknown)]


class Worker:
    """An actor that plays rows. What keeps it from playing any is told instead of raised: Ray would start it again."""

    def __init__(self, recipe: Recipe, version: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._player: Player | None = None
        self._unfit = ""
        try:
            self._player = recipe.player(version)
        except Exception as fault:  # noqa: BLE001  (it is told to whoever started the run)
            self._unfit = f"Worker {self._name}: {sentence_of(fault)}"

    def __del__(self) -> None:
        """Ray calls this when the run ends; a worker that is killed leaves its folder to the next one."""
        if self._player is not None:
            self._player.close()

    def __call__(self, rows: pyarrow.Table) -> pyarrow.Table:
        """Play a row: what became of it, and its files."""
        line = rows["song"][0].as_py()
        begun, error, files = time.monotonic(), "", list[File]()
        if self._player is not None:
            try:
                files = self._player.play(Song.parsed(line).changes)
            except Exception as fault:  # noqa: BLE001  (a row that fails is recorded, and the others go on)
                error = sentence_of(fault)
        told = [
            line,
            time.monotonic() - begun,
            self._name,
            error,
            [file.suffix for file in files],
            self._unfit,
        ]
        contents = pyarrow.array(
            [[bytes(file.content) for file in files]], pyarrow.list_(pyarrow.large_binary())
        )
        return pyarrow.table({"told": [json.dumps(told)], "contents": contents})


@contextlib.contextmanager
def joined(pool: Pool) -> Iterator[None]:
    """Ray, started on this machine for this run alone or found at an address; nothing of it is left behind."""
    if pool.address is None:
        ray.init(
            address="local",
            num_cpus=pool.workers * pool.cpus,
            object_store_memory=STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    elif not ray.is_initialized():
        ray.init(address=pool.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def default_gpus() -> float:
    """A graphics card for each worker, where there are any."""
    return 1.0 if ray.cluster_resources().get("GPU") else 0.0


def require_room(pool: Pool) -> None:
    """Refuse a pool that would wait for ever."""
    there = ray.cluster_resources()
    for kind, each in (("GPU", pool.gpus), ("CPU", pool.cpus)):
        if pool.workers * each > there.get(kind, 0):
            raise InvalidInputError(
                f"{pool.workers} workers with {each:g} {kind} each need more than the {there.get(kind, 0):g} that are there.",
                f"Take fewer with --workers, or less with --{kind.lower()}s-per-worker.",
            )


def outcomes(plan: Plan, recipe: Recipe, version: str, pool: Pool) -> Iterator[Outcome]:
    """Play the rows that are left; outcomes come as they are ready."""
    context = DataContext.get_current()
    context.target_max_block_size, context.target_min_block_size = (
        1,
        0,
    )  # a block for each row: it is what is run again
    context.max_errored_blocks = -1  # a row whose workers died every time takes no other with it
    context.wait_for_min_actors_s = START_SECONDS
    context.enable_progress_bars = sys.stderr.isatty()
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it tells of every worker that dies, at length
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}  # whose disk the rows lie on
    rows = ray.data.read_datasource(
        Waiting(plan.songs),
        override_num_blocks=1,
        label_selector=here,
        num_cpus=READER_CPU,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RayDeprecationWarning
        )  # of max_restarts, for which 2.60 has no other name
        played = rows.map_batches(
            Worker,
            fn_constructor_kwargs={"recipe": recipe, "version": version, "threads": pool.cpus},
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(
                size=pool.workers, max_tasks_in_flight_per_actor=1
            ),  # none waits behind a deadly row
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
        )
    yield from received(played)


def received(played: ray.data.Dataset) -> Iterator[Outcome]:
    """What comes back, in whatever order; when nothing can come any more, Ray's last words on it."""
    try:
        for block in played.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for number in range(block.num_rows):
                yield outcome_of(block["told"][number].as_py(), block["contents"][number])
    except ray.exceptions.RayError as fault:
        words = [line.strip() for line in str(fault).splitlines() if line.strip()]
        raise UnfitWorkerError(
            f"Ray has lost its workers: {words[-1] if words else type(fault).__name__}"
        ) from fault


def outcome_of(told: str, contents: Any) -> Outcome:
    """What a worker told."""
    line, seconds, worker, error, suffixes, unfit = json.loads(told)
    files = [File(suffix, one.as_buffer()) for suffix, one in zip(suffixes, contents, strict=True)]
    return Outcome(Song.parsed(line), seconds, worker, error, files, unfit)
