"""Templates of earlier versions, which others have saved and changed: they load with their values and still play."""

import gzip
import json

import pytest

from support.comfyui import api_form
from support.comfyui import host as comfy_host
from support.comfyui.editor import apart

FILE = comfy_host.PACK / "tests" / "fixtures" / "old_templates.json.gz"
OLD = json.loads(gzip.decompress(FILE.read_bytes()))
PLAYED = ("text2music", "cover", "extract", "edit_style")
SHORT = 4.0


@pytest.mark.parametrize("name", OLD)
def test_every_value_lands_where_it_was(studio, name):
    info = studio.server().object_info()
    prompt = api_form.prompt_of(OLD[name], info.__getitem__)
    assert len(prompt) > 5
    for node in prompt.values():
        spec = info[node["class_type"]]["input"]
        known = {**spec.get("required", {}), **spec.get("optional", {})}
        for key, value in node["inputs"].items():
            kind, options = known[key][0], known[key][1] if len(known[key]) > 1 else {}
            choices = kind if isinstance(kind, list) else options.get("options")
            if isinstance(value, list):
                continue
            if choices is not None and node["class_type"] not in ("AceGraphLoadCodes", "LoadAudio"):
                assert value in choices, (node["class_type"], key)
            if kind in ("INT", "FLOAT"):
                assert options["min"] <= value <= options.get("max", value), (node["class_type"], key)


@pytest.mark.parametrize("name", PLAYED)
def test_it_still_plays(studio, name):
    server = studio.server()
    prompt = api_form.prompt_of(OLD[name], server.object_info().__getitem__)
    for node in prompt.values():
        if node["class_type"] == "AceGraphSilenceLatent":
            node["inputs"]["seconds"] = SHORT
    done = apart(server.run, prompt)
    assert (done.node_errors, done.last, done.error) == ({}, "execution_success", "")
