"""What must hold for the whole repository rather than for one module."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted((ROOT / "acestep_core").rglob("*.py"))
SHIPPED = [ROOT / "__init__.py", *CORE, *sorted((ROOT / "nodes").rglob("*.py"))]
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


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tree(path: Path) -> ast.Module:
    return ast.parse(source(path))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all packages that a file imports absolutely, inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


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


def test_every_file_can_be_read_in_one_sitting():
    for path in SHIPPED:
        assert len(source(path).splitlines()) <= LONGEST_FILE, path.name
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name != "define_schema":
                # a node's execute has one argument per widget, so bodies are counted, not signatures
                assert node.end_lineno - node.body[0].lineno < LONGEST_FUNCTION, f"{path.name}: {node.name}"


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
