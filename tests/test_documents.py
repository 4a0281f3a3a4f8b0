"""README, CONTRIBUTING and the rest: short enough, and everything that they and the docstrings name exists."""

import ast
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from benchmarks.figures import solver_errors
from tools.words import tables

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "batch/README.md", "benchmarks/README.md")
LONGEST_README = 180
FILE_NAME = re.compile(
    r"(?<![\w./{<*-])((?:[\w.-]+/)*[\w-][\w.-]*\.(?:py|md|js|toml|txt|jinja|jpg))(?![\w{(])"
)
FOLDER_NAME = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|\.\w+/\w+|[a-z_]+(?:/[a-z_]+)*)`")
FOREIGN = {
    "main.py",
    "nodes.py",
    "vocab.json",
    "merges.txt",
    "acestep-graph/requirements.txt",
}  # ComfyUI's, Qwen's
USERS = ("models/", "python_embeded", "image/", "audio/")  # folders of a user's ComfyUI
LINK = re.compile(r"\]\(([^)#]+?)(?:#[\w-]*)?\)")
ANCHOR = re.compile(r"\]\(#([\w-]+)\)")
PROGRAM = re.compile(r"python -m ((?:tools|batch|benchmarks|support)[\w.]*)")
TARGET = re.compile(r"`(?:\w+=\S+ )?make ([a-z]+)")


def listed() -> list[str]:
    """Files of the work tree that git knows or would take."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in found if (ROOT / name).is_file()]


FILES = listed()
KNOWN = {*FILES, *(folder.as_posix() for name in FILES for folder in Path(name).parents)}
SOURCES = [name for name in FILES if name.endswith(".py")]


def is_known(name: str) -> bool:
    """Whether a file or folder of the repository has this path, or one that ends so."""
    name = name.rstrip("/")
    return name in FOREIGN or name in KNOWN or any(path.endswith(f"/{name}") for path in KNOWN)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def now(name: str) -> str:
    """A document without what it says of earlier versions, whose files may be gone."""
    return re.split(r"^## \[\d", text_of(name), maxsplit=1, flags=re.MULTILINE)[0]


def told(name: str) -> Iterator[str]:
    """What a source file says in words: docstrings and comments."""
    text = text_of(name)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node, clean=False) or ""
    yield from re.findall(r"(?<!\S)# .*$", text, re.MULTILINE)


def test_the_samplers_pages_have_the_measured_table_of_solvers():
    """Both say what benchmarks/figures/solver_errors.py printed at 8 evaluations."""
    head, *_, row = re.findall(r"^\| (?:evaluations|8) \|.*$", text_of("benchmarks/README.md"), re.MULTILINE)[
        :2
    ]
    for language in tables.PAGES:
        lines = [
            line for line in text_of(f"web/docs/AceGraphSampler/{language}.md").splitlines() if "|" in line
        ]
        assert [line.split("|")[2:] for line in lines[::2]] == [line.split("|")[2:] for line in (head, row)]


def test_the_table_of_solvers_is_what_the_command_prints():
    measured = [line for line in text_of("benchmarks/README.md").splitlines() if line.startswith("|")]
    head, _, *rows = solver_errors.table()
    start = measured.index(head)
    assert measured[start + 2 : start + 2 + len(rows)] == rows


def test_the_readme_can_be_read_in_one_sitting():
    assert len(text_of("README.md").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("name", [*DOCUMENTS, "Makefile", "pyproject.toml", ".comfyignore"])
def test_every_file_that_a_document_names_exists(name):
    told_of = LINK.sub("", now(name))  # where links lead is looked at below
    assert not [found for found in FILE_NAME.findall(told_of) if not is_known(found)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_folder_that_a_document_names_exists(name):
    found = {path for path in FOLDER_NAME.findall(now(name)) if "/" in path}
    assert not [path for path in found if not path.startswith(USERS) and not is_known(path)]


def test_every_file_that_docstrings_and_comments_name_exists():
    lost = {name: [found for said in told(name) for found in FILE_NAME.findall(said)] for name in SOURCES}
    assert not {name: gone for name, found in lost.items() if (gone := [x for x in found if not is_known(x)])}


def test_every_program_that_is_named_exists():
    texts = [*map(now, (*DOCUMENTS, "Makefile")), *(said for name in SOURCES for said in told(name))]
    programs = {program for text in texts for program in PROGRAM.findall(text)}
    assert {"tools.mutations.run", "tools.words.tables"} <= programs
    assert not [program for program in programs if importlib.util.find_spec(program) is None]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_that_is_named_exists(name):
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(TARGET.findall(now(name))) <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = text_of(name)
    local = [target for target in LINK.findall(text) if not target.startswith("http")]
    assert not [target for target in local if not (ROOT / name).parent.joinpath(unquote(target)).is_file()]
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    assert set(ANCHOR.findall(text)) <= headings


def test_every_workflow_is_shown_and_told_of():
    readme = text_of("README.md")
    for workflow in (ROOT / "example_workflows").glob("*.json"):
        assert f"**{workflow.stem[3:]}**" in readme
        assert f"(example_workflows/{quote(workflow.stem)}.jpg)" in readme


def test_every_node_has_a_row():
    rows = re.findall(r"^\| ([^|]+) \|", text_of("README.md"), re.MULTILINE)
    told_of = {name.strip() for row in rows for name in row.split(",")}
    names = {words["display_name"] for words in tables.words_in(tables.ENGLISH).values()}
    assert {name.removesuffix(" (ACE-Step)") for name in names} <= told_of


def test_the_changelog_has_the_version_and_what_comes_after_it():
    versions = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert all(date for _, date in versions[1:])
    version = re.search(r'^version = "(.+)"$', text_of("pyproject.toml"), re.MULTILINE)[1]
    assert versions[1][0] == version
