"""Breaks acestep_core on purpose, one place at a time, and writes into MUTATIONS.md which test notices.

python -m tools.mutations.run            all mutations, about forty minutes
python -m tools.mutations.run velocity   only those whose row holds "velocity"; the other rows stay as they are
python -m tools.mutations.run survives   only those that no test noticed
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.comfyui import fetch
from tools.mutations.core import MUTATIONS, Mutation
from tools.mutations.planner import PLANNER_MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
ALL = (*MUTATIONS, *PLANNER_MUTATIONS)
TABLE = ROOT / "tests" / "MUTATIONS.md"
COPIED = ("acestep_core", "tests", "conftest.py", "pyproject.toml")
SURVIVES, NOT_RUN = "**survives**", "not run yet"
CAUGHT_BY = re.compile(r"^(?:FAILED|ERROR) tests/core/(\w+\.py::\w+)", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+\.py)` \| (.+) \| (.+) \|$", re.MULTILINE)
HEAD = """# Tests that bite

Each row is a deliberate breakage of `acestep_core`, made in a copy of the sources, and the test that failed first.
Written by `python -m tools.mutations.run`; the exact texts are in `mutations.py` and `planner_mutations.py`.

| file | mutation | caught by |
|---|---|---|
"""


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
    files = [f"tests/core/test_{name}.py" for name in names]
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
    path = root / "acestep_core" / mutation.file
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


def recorded() -> dict[tuple[str, str], str]:
    """What the table says by now: (file, words) -> catcher."""
    text = TABLE.read_text(encoding="utf-8") if TABLE.is_file() else ""
    return {(file, words): catcher for file, words, catcher in ROW.findall(text)}


def record(catchers: Mapping[tuple[str, str], str]) -> None:
    """Write the table anew."""
    rows = (f"| `{m.file}` | {m.words} | {catchers.get((m.file, m.words), NOT_RUN)} |\n" for m in ALL)
    TABLE.write_text(HEAD + "".join(rows), encoding="utf-8")


def main() -> None:
    """Check the tests against the intact sources, then the chosen mutations against their tests."""
    wanted = " ".join(sys.argv[1:]).lower()
    catchers = recorded()
    rows = {m: f"{m.file} {m.words} {catchers.get((m.file, m.words), NOT_RUN)}".lower() for m in ALL}
    chosen = [m for m, row in rows.items() if wanted in row]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        copy_sources(root)
        intact = run_tests(root, sorted({name for mutation in chosen for name in mutation.tests.split()}))
        assert intact.returncode == 0, f"the tests fail without any mutation\n{intact.stdout}{intact.stderr}"
        for number, mutation in enumerate(chosen, start=1):
            found = catchers[mutation.file, mutation.words] = catcher_of(mutation, root)
            record(catchers)
            print(f"{number}/{len(chosen)} {mutation.file}: {mutation.words}: {found}", flush=True)

    if survivors := [m.words for m in chosen if catchers[m.file, m.words] == SURVIVES]:
        sys.exit(f"{len(survivors)} of {len(chosen)} mutations survive: {'; '.join(survivors)}")


if __name__ == "__main__":
    main()
