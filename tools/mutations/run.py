"""Breaks acestep_core, nodes and web on purpose, one place at a time, in a copy of the sources, and prints which test notices.

    python -m tools.mutations.run                       all mutations, of which 300 took forty minutes
    python -m tools.mutations.run velocity              only those whose row holds "velocity"
    python -m tools.mutations.run --table FILE [WORD]   writes the table of what was run into a file as well

Ends with 1 if a mutation survives, and names those that do.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.comfyui import fetch
from tools.mutations.adapters import ADAPTER_MUTATIONS
from tools.mutations.analysis import ANALYSIS_MUTATIONS
from tools.mutations.core import MUTATIONS, Mutation
from tools.mutations.nodes import NODE_MUTATIONS
from tools.mutations.planner import PLANNER_MUTATIONS
from tools.mutations.web import WEB_MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
ALL = (
    *(*MUTATIONS, *PLANNER_MUTATIONS, *ADAPTER_MUTATIONS, *ANALYSIS_MUTATIONS),
    *(*NODE_MUTATIONS, *WEB_MUTATIONS),
)
COPIED = (
    "acestep_core",
    "nodes",
    "web",
    "locales",
    "tests",
    "tools",
    "__init__.py",
    "conftest.py",
    "pyproject.toml",
)
SURVIVES = "**survives**"
CAUGHT_BY = re.compile(r"^(?:FAILED|ERROR) tests/(?:core/)?([\w/]+\.py::\w+)", re.MULTILINE)
HEAD = "| file | mutation | caught by |\n| --- | --- | --- |\n"


def files_of_tests() -> dict[str, list[Path]]:
    """Test files by the names that rows call them: the core's without folder, test_ and .py; others as nodes/excerpts."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "tests" / "core").rglob("test_*.py")):
        found.setdefault(path.stem.removeprefix("test_"), []).append(path.relative_to(ROOT))
    for path in sorted((ROOT / "tests" / "nodes").glob("test_*.py")):
        found[f"nodes/{path.stem.removeprefix('test_')}"] = [path.relative_to(ROOT)]
    return {**found, "web": [Path("tests/test_web.py")]}


def source_of(mutation: Mutation) -> Path:
    """The file that a mutation changes, from the top of the sources."""
    top = mutation.file.startswith(("nodes/", "web/"))
    return Path(mutation.file) if top else Path("acestep_core", mutation.file)


def copy_sources(target: Path) -> None:
    """What the tests of the core need, apart from the working tree."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)


def run_tests(root: Path, names: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run test files of the core until the first failure; no bytecode is kept, as edits may be a moment apart."""
    known = files_of_tests()
    files = [str(path) for name in names for path in known[name]]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *files]
    surroundings = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COMFYUI_DIR": str(fetch.comfyui_dir()),
    }
    return subprocess.run(command, cwd=root, env=surroundings, capture_output=True, text=True)


def catcher_of(mutation: Mutation, root: Path) -> str:
    """The first test that fails under the mutation, or SURVIVES."""
    path = root / source_of(mutation)
    intact = path.read_text(encoding="utf-8")
    places = intact.count(mutation.old)
    assert places == 1, f"{mutation.file}: {mutation.words}: the old text occurs {places} times"
    path.write_text(intact.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        run = run_tests(root, mutation.tests.split())
    finally:
        path.write_text(intact, encoding="utf-8")
    if run.returncode == 0:
        return SURVIVES
    found = CAUGHT_BY.search(run.stdout)
    assert found, f"{mutation.words}: no test ran\n{run.stdout}{run.stderr}"
    return f"`{found[1]}`"


def table_of(catchers: Mapping[Mutation, str]) -> str:
    """What was run, in Markdown."""
    return HEAD + "".join(f"| `{m.file}` | {m.words} | {found} |\n" for m, found in catchers.items())


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="what a row has to hold to be run")
    parser.add_argument("--table", type=Path, metavar="FILE", help="where to write the table")
    return parser.parse_args()


def main() -> None:
    """Check the tests against the intact sources, then the chosen mutations against their tests."""
    given = arguments()
    wanted = " ".join(given.words).lower()
    chosen = [m for m in ALL if wanted in f"{m.file} {m.words}".lower()]
    catchers: dict[Mutation, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        copy_sources(root)
        intact = run_tests(root, sorted({name for mutation in chosen for name in mutation.tests.split()}))
        assert intact.returncode == 0, f"the tests fail without any mutation\n{intact.stdout}{intact.stderr}"
        for number, mutation in enumerate(chosen, start=1):
            found = catchers[mutation] = catcher_of(mutation, root)
            print(f"{number}/{len(chosen)} {mutation.file}: {mutation.words}: {found}", flush=True)

    print(f"\n{table_of(catchers)}")
    if given.table:
        given.table.write_text(table_of(catchers), encoding="utf-8")
    if survivors := [m.words for m, found in catchers.items() if found == SURVIVES]:
        sys.exit(f"{len(survivors)} of {len(chosen)} mutations survive: {'; '.join(survivors)}")


if __name__ == "__main__":
    main()
