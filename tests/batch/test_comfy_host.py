"""What is asked of ComfyUI without starting it: folders of dead processes go, refusals are words, files keep their numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acestep_core.errors import InvalidInputError, UnsupportedCheckpointError
from batch.graphs import ROOT
from batch.players import comfy_host, describe
from batch.players.comfy_host import (
    Installation,
    failure_of,
    is_input_file,
    refusal_of,
    scratch_folder,
    version_of,
)
from batch.players.graph_player import files_of


def test_folders_of_processes_that_died_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(comfy_host.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(comfy_host.tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f"{comfy_host.PREFIX}{os.getppid()}-x", f"{comfy_host.PREFIX}nobody-x", "other"]
    for name in (*kept, f"{comfy_host.PREFIX}{ended.pid}-x"):
        (tmp_path / name / "output").mkdir(parents=True)
    made = scratch_folder()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, made.name])
    assert made.name.startswith(f"{comfy_host.PREFIX}{os.getpid()}-")


def test_where_the_folder_is_missing_the_workers_own_comfyui_is_taken(tmp_path, monkeypatch):
    here, elsewhere = Installation(tmp_path), Installation(tmp_path / "elsewhere", cpu=True)
    monkeypatch.setenv("COMFYUI_DIR", "own")
    assert here.on_this_machine() == here
    assert elsewhere.on_this_machine() == Installation(Path("own"), cpu=True)
    monkeypatch.delenv("COMFYUI_DIR")
    assert elsewhere.on_this_machine() == elsewhere


def test_a_folder_without_comfyui_is_refused(tmp_path):
    with pytest.raises(UnsupportedCheckpointError, match="no ComfyUI in"):
        comfy_host.start(Installation(tmp_path), tmp_path)


def test_a_workflow_of_the_editor_needs_comfyui():
    with pytest.raises(InvalidInputError, match="Only ComfyUI knows"):
        describe.graph_of({"nodes": []}, None, None, "0.1.0")


def test_files_of_the_input_folder_are_told_by_their_upload():
    info = {
        "input": {
            "required": {"a": (["x"], {"audio_upload": True}), "b": (["x"], {})},
            "optional": {"c": ("COMBO", {"image_upload": True})},
        }
    }
    assert [is_input_file(info, name) for name in "abcd"] == [True, False, True, False]


def test_refusals_and_failures_are_one_sentence():
    fault = {"errors": [{"message": "Value not in list", "details": "m: 'x' not in ['y']"}]}
    problem, _ = refusal_of(None, {"1": fault}, {"1": {"class_type": "Load"}})
    assert problem == "ComfyUI refuses the row. Load: Value not in list: m: 'x' not in ['y']."
    problem, _ = refusal_of({"message": "Prompt has no outputs", "details": ""}, {}, {})
    assert problem == "ComfyUI refuses the row. Prompt has no outputs."
    assert (
        failure_of({"node_type": "Load", "exception_message": "No.\nTry again.\n"})[0]
        == "Load: No. Try again."
    )


def test_the_version_is_that_of_the_project_file():
    import tomllib

    assert version_of(ROOT) == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_one_file_keeps_its_ending_and_several_are_numbered_with_what_lies_beside_them(tmp_path):
    names = ["a [1]_00001_.wav", "a [1]_00001_.json", "a [1]_00002_.wav", "a 1_00001_.txt"]
    paths = {name: tmp_path / name for name in names}
    for name, path in paths.items():
        path.write_bytes(name.encode())
    first, beside, second, _ = paths.values()
    assert [(file.suffix, bytes(file.content)) for file in files_of([first])] == [
        (".wav", first.name.encode()),
        (".json", beside.name.encode()),
    ]
    assert [file.suffix for file in files_of([first, second])] == ["_1.wav", "_1.json", "_2.wav"]
