"""LoRA files as the editor shows them: listed, found by R while it runs, and missed by name."""

import json

import pytest
from safetensors.torch import load_file, save_file

from support.comfyui import host as comfy_host
from support.comfyui.editor import until
from tools.templates.names import file_of

PAGE = json.loads(
    (comfy_host.PACK / "example_workflows" / f"{file_of('lora')}.json").read_text(encoding="utf-8")
)
CHOICES = """() => {
  const all = (graph) => graph.nodes.flatMap((node) => [node, ...(node.subgraph ? all(node.subgraph) : [])]);
  const widget = all(app.graph).find((n) => n.type === "AceGraphLoadAdapter").widgets.find((w) => w.name === "adapter");
  const { values } = widget.options;
  return Array.from(typeof values === "function" ? values(widget) : values);
}"""


@pytest.fixture
def loras(usual):
    """The page with a LoRA, and the folder that its server lists."""
    usual.load(PAGE)
    folder = usual.server.base / "models" / "loras"
    yield folder
    for path in folder.glob("fresh*"):
        path.unlink()


def test_files_and_folders_are_listed_and_r_finds_a_new_one(usual, loras):
    before = usual.js(CHOICES)
    assert "my_lora.safetensors" in before
    assert "my_second_lora/" in before
    assert "fresh.safetensors" not in before
    save_file(load_file(loras / "my_lora.safetensors"), loras / "fresh.safetensors")
    usual.js("() => document.activeElement?.blur()")  # keys go to no widget
    usual.page.keyboard.press("r")
    until(lambda: usual.js(CHOICES) == sorted([*before, "fresh.safetensors"]), "the new file is listed")
    usual.set("AceGraphLoadAdapter", adapter="fresh.safetensors")
    usual.set("AceGraphSilenceLatent", seconds=6.0)
    assert usual.run()["status"]["status_str"] == "success"
    assert usual.errors == []


def test_a_file_that_is_gone_is_missed_by_name(usual, loras):
    usual.set("AceGraphLoadAdapter", adapter="gone.safetensors")
    done = usual.run()
    assert done["status"]["status_str"] == "error"
    usual.show_error()
    usual.page.get_by_text("There is no 'gone.safetensors'").first.wait_for()
    assert loras.is_dir()
