"""What must hold for the whole repository rather than for one module."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted((ROOT / "acestep_core").rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))
SHIPPED = [ROOT / "__init__.py", *CORE, *NODES]
PROGRAMS = [
    path for folder in ("tools", "batch", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
]
LISTS = {"tools/mutations/core.py", "tools/mutations/planner.py"}  # rows, as long as there are any
DEPENDENCIES = {"einops", "numpy", "safetensors", "soundfile", "transformers", "PyYAML"}
CORE_PACKAGES = {
    "torch",
    "numpy",
    "einops",
    "safetensors",
    "soundfile",
    "transformers",
    "tokenizers",
    "yaml",
}  # transformers brings tokenizers
NEVER_SHIPPED = {
    *("diffusers", "vector_quantize_pytorch", "accelerate", "acestep"),
    *("torchaudio", "torchvision", "mutagen"),
    *("batch", "ray", "pyarrow"),
}
FORBIDDEN_TEXT = {  # registry and host scanners search for most of these
    "a device chosen by hand": r"\.cuda\(|\.to\([\"']cuda|torch\.cuda",
    "evaluated text": r"\b(eval|exec)\(",
    "autocast": r"\bautocast\(",
    "print": r"(?<![\w.])print\(",
    "an absolute path": r"[\"'](/(home|root|tmp|usr|opt|var|mnt|work)/|[A-Za-z]:\\)",
    "a layer that does not come from ops": r"\bnn\.(Linear|Conv[123]d|ConvTranspose[12]d|LayerNorm|GroupNorm|Embedding)\(",
}
CLOCK_NUMBERS = {48_000, 1_920}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40  # but for a node's schema, which is a list and not a procedure
LARGEST_PACKAGE = 15
FLOORS = ("host", "wires", "runs", "")  # of nodes/, from the ground up; "" are the node files themselves


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tree(path: Path) -> ast.Module:
    return ast.parse(source(path))


def named(path: Path) -> str:
    """A file as this repository calls it."""
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all packages that a file imports absolutely, inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


class RelativeImport(NamedTuple):
    """One imported name, and whether it lies inside the top folder of the file that imports it."""

    target: tuple[str, ...]  # from the repository's root
    is_inside: bool


def relative_imports(path: Path, root: Path = ROOT) -> Iterator[RelativeImport]:
    """Everything that a file imports with leading dots, inside functions too."""
    folder = path.relative_to(root).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            kept = folder[: max(0, len(folder) - node.level + 1)]
            module = tuple(node.module.split(".")) if node.module else ()
            inside = node.level <= len(folder)
            yield from (RelativeImport((*kept, *module, alias.name), inside) for alias in node.names)


def room_of(parts: Sequence[str]) -> str:
    """The room in nodes/ of a path or of a dotted name below it; "" is the floor of the node files."""
    return parts[0] if parts[0] in FLOORS else ""


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def in_fresh_python(source: str, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{source}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300)


def test_both_lists_of_dependencies_are_the_same_and_name_no_versions():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert sorted(lines) == sorted(project()["project"]["dependencies"])
    assert set(lines) == DEPENDENCIES


def test_the_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", project()["project"]["version"])


@pytest.mark.parametrize("pattern", FORBIDDEN_TEXT.values(), ids=FORBIDDEN_TEXT.keys())
def test_shipped_sources_do_not_hold(pattern):
    held = {path.name for path in SHIPPED if re.search(pattern, source(path))}
    assert held == (
        {"cuda_graph.py"} if "cuda" in pattern else set()
    )  # it records steps, and chooses no device


def test_shipped_sources_can_be_read_in_a_western_windows_code_page():
    for path in SHIPPED:
        source(path).encode("cp1252")


def test_shipped_sources_import_no_oracle():
    assert not {path.name: found for path in SHIPPED if (found := NEVER_SHIPPED & set(imported(path)))}


def test_the_core_imports_only_its_packages():
    known = CORE_PACKAGES | sys.stdlib_module_names
    assert not {path.name: found for path in CORE if (found := set(imported(path)) - known)}


def test_many_songs_stand_on_the_core_alone_and_one_module_knows_ray():
    allowed = {"acestep_core", "batch", *sys.stdlib_module_names}
    more = {"cluster.py": {"ray", "pyarrow", "torch"}, "tables.py": {"pyarrow"}, "core_player.py": {"torch"}}
    for path in sorted((ROOT / "batch").rglob("*.py")):
        assert set(imported(path)) <= allowed | more.get(path.name, set()), named(path)


def test_pickles_are_never_executed():
    for path in SHIPPED:
        for call in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            assert called != "torch.load" or "weights_only=True" in ast.unparse(call), path.name
            assert not called.startswith("pickle."), path.name


def test_only_timebase_knows_the_clocks():
    for path in SHIPPED:
        numbers = {
            n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant) and type(n.value) is int
        }
        assert path.name == "timebase.py" or not CLOCK_NUMBERS & numbers, path.name


# ------------------------------------------------------------------------------------------------------- sizes
def test_every_file_can_be_read_in_one_sitting():
    for path in [*SHIPPED, *PROGRAMS]:
        assert named(path) in LISTS or len(source(path).splitlines()) <= LONGEST_FILE, named(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "define_schema":
                # a node's execute has one argument per widget, so bodies are counted, not signatures
                length = node.end_lineno - node.body[0].lineno + 1
                assert length <= LONGEST_FUNCTION, f"{named(path)}: {node.name}"


def test_every_package_can_be_kept_in_mind():
    sizes = Counter(path.parent for path in [*SHIPPED, *PROGRAMS] if path.stem != "__init__")
    assert not {folder.name: size for folder, size in sizes.items() if size > LARGEST_PACKAGE}


# ------------------------------------------------------------------------------------------------------- rooms
def test_every_module_of_the_core_has_a_test_file_of_its_name():
    for path in CORE:
        folder = ROOT / "tests" / "core" / path.relative_to(ROOT / "acestep_core").parent
        assert path.stem == "__init__" or (folder / f"test_{path.name}").is_file(), named(path)


def test_packages_are_one_level_deep():
    assert not [named(path) for path in [*CORE, *NODES] if named(path).count("/") > 2]


def test_packages_say_in_one_sentence_what_they_hold_and_pass_nothing_on():
    for path in CORE:
        if path.stem == "__init__":
            (statement,) = tree(path).body
            assert ast.get_docstring(tree(path)) == statement.value.value, named(path)


def test_no_relative_import_climbs_out_of_the_core():
    """import-linter does not see `from ..nodes`; from nodes/ the way to the core beside it is open."""
    for path in [*CORE, *NODES]:
        climbs = [found.target for found in relative_imports(path) if not found.is_inside]
        assert not [to for to in climbs if path in CORE or to[0] != "acestep_core"], named(path)


def test_nodes_import_only_what_lies_below_them():
    for path in NODES:
        floor = FLOORS.index(room_of(path.relative_to(ROOT).parts[1:]))
        for found in relative_imports(path):
            if found.target[0] == "nodes":
                below = FLOORS.index(room_of(found.target[1:]))
                assert below <= floor, f"{named(path)} imports {'.'.join(found.target)}"


def test_no_node_file_imports_another():
    """What two nodes share lies in runs, wires or host; the list of all nodes is the package itself."""
    for path in NODES:
        parts = path.relative_to(ROOT).parts
        if room_of(parts[1:]) == "" and path.stem != "__init__":
            beside = [found.target for found in relative_imports(path) if found.target[0] == "nodes"]
            assert not [target for target in beside if room_of(target[1:]) == ""], named(path)


def test_the_laws_of_rooms_see_what_breaks_them(tmp_path):
    planted = tmp_path / "acestep_core" / "text" / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(
        "from ...nodes import load\nfrom ..errors import AceStepError\nfrom . import prompts\n"
    )
    found = list(relative_imports(planted, tmp_path))
    assert [one.is_inside for one in found] == [False, True, True]
    assert [one.target for one in found] == [
        ("nodes", "load"),
        ("acestep_core", "errors", "AceStepError"),
        ("acestep_core", "text", "prompts"),
    ]
    assert [room_of(("load", "Load")), room_of(("runs", "precision", "storage"))] == ["", "runs"]


def test_every_json_file_parses():
    hidden_or_ours = (
        p for p in ROOT.rglob("*.json") if not any(x.startswith(".") for x in p.relative_to(ROOT).parts)
    )
    for path in hidden_or_ours:
        json.loads(path.read_text(encoding="utf-8"))


def test_importing_the_pack_does_nothing(tmp_path):
    source = f"""
import logging, torch
before = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
import {", ".join(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in CORE if path.stem != "__init__")}
after = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
assert not logging.getLogger().handlers
assert not torch.cuda.is_initialized()
heavy = {{"transformers", "tokenizers", "yaml", "av", *{NEVER_SHIPPED}}} & set(sys.modules)
assert not heavy, heavy
"""
    answer = in_fresh_python(source, tmp_path)
    assert (answer.stdout, answer.stderr) == ("", "")
    assert not list(tmp_path.iterdir())
