"""Names, captions and lyrics that try to be a page are shown as text, under the policy that ComfyUI sends at its strictest."""

import json
from urllib.request import urlopen

import pytest
from safetensors.torch import load_file, save_file

from support.comfyui import host as comfy_host
from support.comfyui.editor import until
from support.tiny.adapters import EXAMPLE
from tools.templates.names import file_of

SCRIPT = "<img src=x onerror=window.hit=1><script>window.hit=2</script>"
PREFIX = "audio/<img src=x onerror=window.hit=1>"
OUTSIDE = f"../{PREFIX}"  # refused by the node itself, which quotes it
LORA = "<img src=x onerror=window.hit=3>.safetensors"
SHORT = 6.0
TITLES = """(title) => {
  const all = (graph) => graph.nodes.flatMap((node) => [node, ...(node.subgraph ? all(node.subgraph) : [])]);
  for (const node of all(app.graph)) node.title = title;
}"""
TAKEN = "() => [window.hit ?? 0, document.querySelectorAll('img[src=x]').length]"


def workflow(name):
    return json.loads(
        (comfy_host.PACK / "example_workflows" / f"{file_of(name)}.json").read_text(encoding="utf-8")
    )


def test_the_policy_lets_nothing_in_from_elsewhere(styled):
    with urlopen(f"http://127.0.0.1:{styled.server.port}/", timeout=60) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("problem", [False, True])
def test_hostile_words_are_shown_as_words(styled, problem):
    styled.load(workflow("text2music"))
    styled.set("AceGraphSilenceLatent", seconds=SHORT, batch_size=2)
    styled.set("AceGraphEncodeConditions", caption=SCRIPT, lyrics=SCRIPT)
    styled.set("AceGraphSaveAudio", filename_prefix=OUTSIDE if problem else PREFIX)
    done = styled.run()
    assert (done["status"]["status_str"] == "success") != problem
    if not problem:
        label = until(
            lambda: styled.js("() => document.querySelector('.acegraph-song')?.title ?? ''"),
            "a song",
        )
        assert "<img src=x onerror=window.hit=1>_0" in label
    assert (
        styled.js("() => document.querySelectorAll('.acegraph-player img, .acegraph-player script').length")
        == 0
    )
    assert styled.js("() => window.hit ?? 0") == 0


@pytest.fixture
def lora(styled):
    """A LoRA whose name and trigger try to be a page."""
    folder = styled.server.base / "models" / "loras"
    save_file(load_file(folder / EXAMPLE), folder / LORA, {"modelspec.trigger_phrase": SCRIPT})
    yield LORA
    (folder / LORA).unlink()


def test_hostile_names_of_a_lora_and_of_nodes_are_shown_as_words(styled, lora):
    styled.load(workflow("lora"))
    styled.js(TITLES, SCRIPT)
    styled.set("AceGraphLoadAdapter", adapter=lora)
    styled.set("AceGraphSilenceLatent", seconds=SHORT)
    done = styled.run()
    assert done["status"]["status_str"] == "success"
    told = [text for output in done["outputs"].values() for text in output.get("text", [])]
    assert any(f"writing into the caption: {SCRIPT}" in text for text in told)
    assert styled.js(TAKEN) == [0, 0]


def test_hostile_codes_are_quoted_as_words(styled):
    styled.load(workflow("codes"))
    graph = styled.server.graph()
    words = graph.add("PrimitiveString", value=SCRIPT)  # by wire: what is typed is refused before it runs
    codes = graph.add("AceGraphCodesFromText", text=words[0])
    graph.add("PreviewAny", source=codes["report"])
    client = styled.js("async () => (await import('/scripts/api.js')).api.clientId")
    asked = styled.server.queue(graph, client)
    record = styled.server.history(asked["prompt_id"])
    assert record["status"]["status_str"] == "error"
    styled.show_error()
    styled.page.wait_for_timeout(500)
    assert styled.js(TAKEN) == [0, 0]
