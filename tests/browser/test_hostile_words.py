"""Names, captions and lyrics that try to be a page are shown as text, under the policy that ComfyUI sends at its strictest."""

import json
from urllib.request import urlopen

import pytest

from support.comfyui import host as comfy_host
from support.comfyui.editor import until
from tools.templates.names import file_of

SCRIPT = "<img src=x onerror=window.hit=1><script>window.hit=2</script>"
PREFIX = "audio/<img src=x onerror=window.hit=1>"
OUTSIDE = f"../{PREFIX}"  # refused by the node itself, which quotes it
SHORT = 6.0


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
