"""Many songs: a graph over a table.

python -m batch GRAPH TABLE --out FOLDER            a workflow of the editor, its API form, or one of our templates
python -m batch CHECKPOINT TABLE --out FOLDER --core   songs by the core alone, without ComfyUI
python -m batch GRAPH --columns                     what a table may set
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from acestep_core.errors import AceStepError, InvalidInputError

from .columns import described
from .graphs import ROOT, Graph, find_graph, read_graph
from .manifest import Manifest
from .plan import Plan, Planner
from .players.comfy_host import Installation, version_of
from .players.core_player import CoreRecipe, core_graph
from .players.describe import graph_of
from .players.graph_player import GraphRecipe
from .players.player import Recipe
from .run import UnfitWorkerError, collect
from .tables import rows_of

LOOPBACK_ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray listens on 127.0.0.1 only, whatever the system
DONE, SOME_FAILED, REFUSED, STOPPED = 0, 1, 2, 130  # exit codes


def say(words: str) -> None:
    """Tell whoever watches; what is asked for goes to the standard output."""
    print(words, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(prog="python -m batch", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("graph", help="a workflow, or one of our templates by name; with --core a checkpoint")
    made.add_argument("table", nargs="?", type=Path, help="CSV, JSON lines or Parquet")
    made.add_argument("--out", type=Path, help="the folder for songs and manifest")
    made.add_argument("--columns", action="store_true", help="list what a table may set")
    made.add_argument("--dry-run", action="store_true", help="show the first three prompts that would run")
    made.add_argument(
        "--retry-failed", action="store_true", help="play rows again that failed in an earlier run"
    )
    made.add_argument("--core", action="store_true", help="play with a checkpoint alone, without ComfyUI")
    made.add_argument(
        "--comfyui", type=Path, help="ComfyUI's folder, on every worker; COMFYUI_DIR by default"
    )
    made.add_argument(
        "--base-directory", type=Path, help="of models, inputs and packs, as ComfyUI's own option"
    )
    made.add_argument(
        "--address", help="of a running Ray cluster, mostly `auto`; without it, this machine alone"
    )
    made.add_argument("--workers", type=int, default=1)
    made.add_argument("--gpus-per-worker", type=float, help="1, or 0 where there is no graphics card")
    made.add_argument("--cpus-per-worker", type=int, default=1, help="and threads of each; 1 by default")
    return made


def installation(asked: argparse.Namespace) -> Installation | None:
    """The ComfyUI that is meant, if any."""
    given = asked.comfyui or os.environ.get("COMFYUI_DIR")
    if given is None and (ROOT.parent.parent / "main.py").is_file():
        given = ROOT.parent.parent  # the clone lies in custom_nodes
    base = asked.base_directory.resolve() if asked.base_directory else None
    return Installation(Path(given).expanduser().resolve(), base) if given else None


def graph_asked(asked: argparse.Namespace, version: str) -> Graph:
    """The graph, or the columns of a table of songs."""
    if asked.core:
        return core_graph(Path(asked.graph))
    return graph_of(read_graph(find_graph(asked.graph)), installation(asked), asked.out, version)


def recipe_of(asked: argparse.Namespace, graph: Graph, gpus: float) -> Recipe:
    """What the workers play with."""
    if asked.core:
        return CoreRecipe(Path(asked.graph).resolve(), on_gpu=gpus > 0)
    where = installation(asked)
    if where is None:
        raise InvalidInputError(
            "No ComfyUI was named.", "Give its folder with --comfyui, or set COMFYUI_DIR."
        )
    return GraphRecipe(graph, Installation(where.comfyui, where.base, cpu=gpus == 0))


def played(asked: argparse.Namespace, graph: Graph, plan: Plan, manifest: Manifest, version: str) -> int:
    """Play what is left. Ray is imported here, for a run that has nothing to do does not need it."""
    if asked.address is None:
        os.environ.setdefault(LOOPBACK_ALONE, "0")
    try:
        from . import cluster
    except ImportError as error:
        raise InvalidInputError(
            f"Ray is missing ({error}).", 'Install it: pip install "ray[data]>=2.60,<2.64"'
        ) from error
    pool = cluster.Pool(asked.workers, asked.gpus_per_worker or 0.0, asked.cpus_per_worker, asked.address)
    with cluster.joined(pool):
        gpus = cluster.default_gpus() if asked.gpus_per_worker is None else asked.gpus_per_worker
        pool = cluster.Pool(pool.workers, gpus, pool.cpus, pool.address)
        cluster.require_room(pool)
        recipe = recipe_of(asked, graph, gpus)
        progress = collect(plan, cluster.outcomes(plan, recipe, version, pool), manifest, version, say)
    return SOME_FAILED if progress.failed or plan.refused else DONE


def run(asked: argparse.Namespace) -> int:
    """Do what was asked for."""
    version = version_of(ROOT)
    if asked.columns:
        print("\n".join(described(graph_asked(asked, version))))
        return DONE
    if asked.table is None or (asked.out is None and not asked.dry_run):
        raise InvalidInputError(
            "A run needs a table, and a folder with --out.", "See python -m batch --help."
        )
    if asked.workers < 1 or asked.cpus_per_worker < 1 or (asked.gpus_per_worker or 0) < 0:
        raise InvalidInputError("A run needs one worker and one processor at least.", "Give 1 or more.")
    with tempfile.TemporaryDirectory() as scratch, Manifest(asked.out or Path(scratch) / "out") as manifest:
        planner = Planner(graph_asked(asked, version), version, manifest, asked.retry_failed)
        plan = planner.plan(rows_of(asked.table), Path(scratch) / "songs.jsonl", keeps=not asked.dry_run)
        say(plan.sentence())
        if asked.dry_run:
            print(json.dumps(plan.first, indent=2, ensure_ascii=False))
        if asked.dry_run or not plan.left:
            return SOME_FAILED if plan.refused else DONE
        try:
            return played(asked, planner.graph, plan, manifest, version)
        except KeyboardInterrupt:
            say("Stopped. What is finished is kept; the same line goes on where this ended.")
            return STOPPED


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    try:
        return run(parser().parse_args(arguments))
    except AceStepError as fault:
        say(f"{fault.problem}\n{fault.remedy}")
    except UnfitWorkerError as fault:
        say(str(fault))
    except KeyboardInterrupt:
        return STOPPED
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
