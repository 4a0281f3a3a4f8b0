"""The command: what it refuses, what it shows, how it goes on and how it stops."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch.__main__ import DONE, REFUSED, SOME_FAILED, STOPPED, main
from batch.graphs import ROOT, api_graph
from batch.manifest import FILE, Manifest, records
from batch.plan import Planner
from batch.players.comfy_host import version_of
from batch.tables import rows_of
from support.tiny import checkpoint as tiny_checkpoint

PROMPT = {"1": {"class_type": "Words", "inputs": {"caption": "c", "seed": 3}, "_meta": {"title": "Mine"}}}
LONG = 10_000


@pytest.fixture(autouse=True)
def no_comfyui(monkeypatch):
    monkeypatch.delenv("COMFYUI_DIR", raising=False)


@pytest.fixture
def files(tmp_path) -> tuple[str, str, str]:
    """A graph, a table of four rows, and a folder."""
    (tmp_path / "graph.json").write_text(json.dumps(PROMPT))
    rows = [f"s{number},caption {number},{number}\n" for number in range(4)]
    (tmp_path / "songs.csv").write_text("".join(["name,Mine.caption,seed\n", *rows]))
    return str(tmp_path / "graph.json"), str(tmp_path / "songs.csv"), str(tmp_path / "out")


def finish(table: Path, folder: Path, left: int = 0) -> None:
    """As if all rows but the last ones had been played."""
    with Manifest(folder) as manifest:
        planner = Planner(api_graph(PROMPT), version_of(ROOT), manifest)
        songs = [planner.song(row["name"], number, row) for number, row in enumerate(rows_of(table), 1)]
    lines = [
        {"name": song.name, "key": song.key, "state": "done", "files": []}
        for song in songs[: len(songs) - left]
    ]
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_dry_run_shows_the_first_three_prompts_and_leaves_nothing(files, capsys, tmp_path):
    graph, table, out = files
    assert main([graph, table, "--dry-run"]) == DONE
    shown = capsys.readouterr()
    assert json.loads(shown.out) == [
        {"1": {**PROMPT["1"], "inputs": {"caption": f"caption {number}", "seed": number}}}
        for number in range(3)
    ]
    assert shown.err == "4 rows to play.\n"
    finish(Path(table), Path(out), left=1)
    assert main([graph, table, "--out", out, "--dry-run"]) == DONE
    assert [one["1"]["inputs"]["seed"] for one in json.loads(capsys.readouterr().out)] == [3]


def test_the_columns_of_a_graph_and_of_the_core_are_listed(files, capsys):
    assert main([files[0], "--columns"]) == DONE
    assert capsys.readouterr().out.splitlines() == [
        "name: the name of the file",
        "seed: Mine.seed",
        "Mine.caption: STRING; now 'c'",
        "Mine.seed: INT; now 3",
    ]
    assert main(["anywhere", "--core", "--columns"]) == DONE
    told = capsys.readouterr().out
    assert "\ncaption: STRING" in told
    assert "\nduration: FLOAT, from 1.0, to 600.0; now 30.0\n" in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: "nowhere"}, "neither a file nor one of our templates"),
        ({1: "songs.xlsx"}, "no table that can be read"),
        ({1: "nowhere.csv"}, "cannot be read"),
        ({2: None}, "a folder with --out"),
        ({3: ["--workers", "0"]}, "one worker"),
        ({0: "Song"}, "--comfyui or COMFYUI_DIR"),
        ({3: ["--comfyui", "nowhere"], 0: "Song"}, "There is no ComfyUI in"),
    ],
)
def test_what_cannot_be_is_refused_in_words(files, capsys, change, said):
    graph, table, out, more = (change.get(number, one) for number, one in enumerate((*files, [])))
    arguments = [graph, table, *(["--out", out] if out else []), *more]
    assert main(arguments) == REFUSED
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_column_that_fits_nothing_is_refused_before_anything_runs(files, capsys):
    graph, table, out = files
    Path(table).write_text("name,Mine.lyrics\na,b\n")
    assert main([graph, table, "--out", out]) == REFUSED
    assert (
        "No widget of the graph is called 'Mine.lyrics'.\nThere are name, seed, Mine.caption"
        in capsys.readouterr().err
    )


def test_a_second_run_needs_neither_ray_nor_comfyui(files, capsys, monkeypatch):
    graph, table, out = files
    finish(Path(table), Path(out))
    monkeypatch.setitem(sys.modules, "batch.cluster", None)
    assert main([graph, table, "--out", out]) == DONE
    assert capsys.readouterr().err == "0 rows to play, 4 finished before.\n"
    finish(Path(table), Path(out), left=1)
    assert main([graph, table, "--out", out]) == REFUSED
    assert "pip install" in capsys.readouterr().err


def test_a_row_that_is_refused_makes_the_run_fail(files, capsys):
    graph, table, out = files
    finish(Path(table), Path(out))
    with Path(table).open("a") as file:
        file.write("bad,x,no number\n")
    assert main([graph, table, "--out", out]) == SOME_FAILED
    assert main([graph, table, "--out", out]) == DONE  # it is known, and nothing is new


def test_a_long_table_of_which_most_is_done_is_looked_at_once(files, tmp_path, capsys, monkeypatch):
    graph, table, out = files
    rows = (f"s{number},caption {number},{number}\n" for number in range(LONG))
    Path(table).write_text("".join(["name,Mine.caption,seed\n", *rows]))
    finish(Path(table), Path(out), left=10)
    monkeypatch.setitem(sys.modules, "batch.cluster", None)
    assert main([graph, table, "--out", out]) == REFUSED  # for want of Ray, which is asked for after the look
    assert f"10 rows to play, {LONG - 10} finished before." in capsys.readouterr().err


def ours(mark: str) -> list[int]:
    """Processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


# What runs in the background of a script does not hear Ctrl-C, and neither does what it starts.
AT_A_TERMINAL = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('batch', run_name='__main__', alter_sys=True)"
)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are counted in /proc")
def test_ctrl_c_stops_cleanly_and_the_same_line_goes_on(ray_environment, tmp_path):
    checkpoint = tiny_checkpoint.build(tmp_path / "tiny") / "official" / "acestep-v15-turbo"
    table, out = tmp_path / "songs.jsonl", tmp_path / "out"
    rows = [{"name": f"s{number}", "caption": "c", "duration": 1, "seed": number} for number in range(400)]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mark = f"ACEGRAPH_TEST={tmp_path.name}-{os.getpid()}"
    command = [sys.executable, "-c", AT_A_TERMINAL, str(checkpoint), str(table), "--out", str(out), "--core"]
    environment = {**os.environ, "ACEGRAPH_TEST": mark.partition("=")[2]}
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=said, start_new_session=True)
        deadline = time.monotonic() + 300
        while running.poll() is None and time.monotonic() < deadline:
            if (out / FILE).exists() and len(list(records(out))) >= 3:
                break
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to everybody
        code = running.wait(120)
    told = (tmp_path / "said").read_text()
    assert (code, "Stopped." in told, "Traceback" in told) == (STOPPED, True, False), told
    deadline = time.monotonic() + 60
    while ours(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ours(mark) == []
    done = list(records(out))
    assert 3 <= len(done) < len(rows)
    assert all((out / file).is_file() for one in done for file in one["files"])
    assert main([str(checkpoint), str(table), "--out", str(out), "--core", "--dry-run"]) == DONE
    with Manifest(out) as manifest:
        assert all(manifest.is_finished(one["name"], one["key"]) for one in done)
    assert {path.name for path in out.iterdir()} == {FILE, ".lock", *(f"{one['name']}.flac" for one in done)}
