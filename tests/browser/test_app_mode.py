"""Templates as forms: the newest frontend opens them in app mode, from the form to a played take; the older one as a graph."""

import json
from urllib.parse import quote

import pytest

from support.comfyui import host as comfy_host
from support.comfyui.editor import FRONTENDS, until
from tools.templates.names import file_of
from tools.workflows import build as example_workflows

FOLDER = comfy_host.PACK / "example_workflows"
SHORT = 6.0
LABELS = {  # what a form asks for, in this order
    "song": ["caption", "lyrics", "instrumental", "length (s)", "songs", "seed"],
    "repaint": [
        "audio",
        "start (s)",
        "end (s)",
        "caption",
        "lyrics",
        "instrumental",
        "repaint_strength",
        "seed",
    ],
    "stems": ["audio", "tracks", "caption", "seed"],
}
ASKED = """() => Array.from(document.querySelectorAll('[data-testid="linear-widgets"] *'))
  .filter((e) => e.children.length === 0).map((e) => e.textContent.trim()).filter(Boolean)"""
SET = """([kind, name, value]) => {
  const graphs = [app.graph, ...app.graph.nodes.map((n) => n.subgraph).filter(Boolean)];
  for (const graph of graphs) for (const node of graph.nodes)
    for (const w of node.widgets ?? [])
      if (w.name === name && (node.type === kind || node.subgraph)) w.value = value;
}"""
PLAYS = "() => Array.from(document.querySelectorAll('audio')).some((a) => !a.paused && a.currentTime > 0.1)"
MOST_CLICKS = 6  # from the address in the README to a song that plays
HEARD = "() => Array.from(document.querySelectorAll('audio'), (a) => a.duration).filter((s) => s > 0)"


def workflow(name):
    return json.loads((FOLDER / f"{file_of(name)}.json").read_text(encoding="utf-8"))


@pytest.fixture
def app(studio):
    """The newest frontend, in app mode once a form is opened, and out of it afterwards."""
    editor = studio.tab(FRONTENDS[1], new_style=True)
    editor.errors.clear()
    yield editor
    if editor.page.get_by_test_id("linear-widgets").count():
        editor.js("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
        editor.page.wait_for_timeout(500)


def opened(editor, name):
    """Through the dialog of templates, as a user does; the host's tour is skipped."""
    editor.page.get_by_role("button", name="Templates").first.click()
    card = editor.page.get_by_test_id(f"template-workflow-{file_of(name)}")
    card.scroll_into_view_if_needed()
    card.click()
    editor.page.get_by_test_id("linear-widgets").first.wait_for()
    editor.page.wait_for_timeout(1500)
    skip = editor.page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()


@pytest.mark.parametrize("name", LABELS)
def test_a_template_opens_as_a_form_with_names_in_the_order_of_a_song(app, name):
    opened(app, name)
    shown = until(lambda: app.js(ASKED), "the form is there")
    app.picture(f"form_{name}")
    named = [text for text in shown if text in LABELS[name]]
    assert list(dict.fromkeys(named)) == LABELS[name], shown
    assert app.errors == []


@pytest.fixture
def newcomer(studio):
    """A tab at the address that `make demo` prints, which counts how often its mouse is pressed."""
    editor = studio.tab(FRONTENDS[1], new_style=True)
    editor.errors.clear()
    editor.page.goto(f"http://127.0.0.1:{editor.server.port}/?acestep={quote(file_of('song'))}")
    editor.page.get_by_test_id("linear-widgets").first.wait_for()
    editor.page.wait_for_timeout(1500)
    editor.js("() => { window.presses = 0; addEventListener('mousedown', () => window.presses++, true); }")
    yield editor
    editor.js("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
    editor.page.wait_for_timeout(500)


def test_a_newcomer_hears_a_song_after_a_few_clicks(newcomer):
    editor = newcomer
    assert "acestep" not in editor.page.url  # a reload opens what was made of it
    skip = editor.page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()
    editor.js(SET, ["AceGraphSilenceLatent", "seconds", SHORT])
    button = editor.page.get_by_test_id("linear-run-button").get_by_role("button", name="Run").first
    done = editor.ended(editor.queued(button.click))
    assert done["status"]["status_str"] == "success", done["status"]
    (entry,) = (entry for shown in done["outputs"].values() for entry in shown.get("audio", ()))
    assert editor.server.view(entry)[:4] == b"fLaC"
    until(lambda: editor.js(HEARD), "the take can be heard")
    assert editor.js(HEARD)[0] == pytest.approx(SHORT, abs=0.1)
    box = editor.page.locator("audio:visible").first.bounding_box()
    editor.page.mouse.click(box["x"] + box["height"] / 2, box["y"] + box["height"] / 2)
    until(lambda: editor.js(PLAYS), "the take plays")
    editor.picture("form_song_played")
    # Run and, the first time, the tour's Skip; a browser's own player tells the page nothing of the press on it
    assert 1 <= editor.js("() => window.presses") < MOST_CLICKS
    assert editor.errors == []


def test_a_link_opens_templates_of_this_pack_alone(studio):
    editor = studio.tab(FRONTENDS[1], new_style=True)
    editor.errors.clear()
    here = workflow("text2music")
    editor.load(here)
    for name in ("../../../api/system_stats", "no such page"):
        editor.page.goto(f"http://127.0.0.1:{editor.server.port}/?acestep={quote(name, safe='')}")
        editor.page.wait_for_function("() => window.app?.graph && !location.search.includes('acestep')")
        editor.page.wait_for_timeout(2000)
        assert editor.page.get_by_test_id("linear-widgets").count() == 0
        assert editor.js("() => app.graph.nodes.length") == len(here["nodes"])
    assert (editor.dialogs(), editor.errors) == ([], [])


@pytest.mark.parametrize("name", [make.__name__ for make in example_workflows.PAGES if make().form])
def test_the_older_frontend_opens_the_same_file_as_a_graph(studio, name):
    editor = studio.tab(FRONTENDS[0], new_style=False)
    editor.errors.clear()
    found = workflow(name)
    editor.load(found, form=True)
    assert (editor.toasts(), editor.dialogs(), editor.errors) == ([], [], [])
    assert len(editor.nodes()) == len(found["nodes"])
    assert editor.js("() => document.querySelectorAll('#graph-canvas').length") == 1
