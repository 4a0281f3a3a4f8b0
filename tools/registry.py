"""What the registry and its scanners say of the pack, asked of the very files that would be published.

    python -m tools.registry      in an environment that holds tests/registry.txt (`make lint` makes one)

Every file that git knows or would take is copied away, so that the answer is about the work tree and nothing is left
behind in it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
WHOLE = (
    "acestep_core",
    "example_workflows",
    "locales",
    "nodes",
    "subgraphs",
    "web",
)  # folders that are published
SINGLE = {
    *("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md"),
    *("__init__.py", "pyproject.toml", "requirements.txt"),
}
HEAVIEST = 5 << 20  # bytes of the archive
QUIET = {"DO_NOT_TRACK": "1", "PYTHONUTF8": "1"}


def listed() -> list[str]:
    """Files of the work tree that git knows or would take."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        sys.exit(
            "The registry's checks need git, and a clone instead of a bare copy: they ask it for the files."
        )
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in found.split("\0") if name and (ROOT / name).is_file()})


def copied(target: Path) -> None:
    """The work tree as a repository of its own, which is what `comfy node pack` asks for its files."""
    for name in listed():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(target), *command], check=True)


def say(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the tools in a folder; what it stores for its user goes beside that folder."""
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env={**os.environ, **QUIET, "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def comfy(folder: Path, *command: str) -> str:
    """What comfy-cli prints; its exit code says nothing."""
    done = say(folder, "comfy", "--skip-prompt", "--no-enable-telemetry", *command)
    return done.stdout + done.stderr


def said(tool: str, answer: str) -> Iterator[str]:
    """The lines of an answer, without blank ones and without the frames of code that ruff draws."""
    lines = (line.strip() for line in answer.splitlines())
    yield from (f"{tool}: {line}" for line in lines if line and not re.match(r"(\d+ )?\|", line))


def metadata_faults(tree: Path) -> Iterator[str]:
    """What `comfy node validate` says, and what it does not look at."""
    answer = comfy(tree, "node", "validate")
    if "All validation checks passed" not in answer:
        yield from said("comfy node validate", answer)
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    listed_packages = (tree / "requirements.txt").read_text(encoding="utf-8").split()
    if sorted(listed_packages) != sorted(project["project"]["dependencies"]):
        yield "requirements.txt and the dependencies of pyproject.toml differ"
    icon = project["tool"]["comfy"]["Icon"].rpartition("/main/")[2]
    if not (tree / icon).is_file():
        yield f"the icon {icon} is not in the repository"


def archive_faults(tree: Path, unpacked: Path) -> Iterator[str]:
    """What `comfy node pack` would publish, which is unpacked for the scanners."""
    answer = comfy(tree, "node", "pack")
    if not (tree / "node.zip").is_file():
        yield from said("comfy node pack", answer)
        return
    if (tree / "node.zip").stat().st_size > HEAVIEST:
        yield f"the archive has {(tree / 'node.zip').stat().st_size >> 20} MiB"
    with zipfile.ZipFile(tree / "node.zip") as archive:
        packed = set(archive.namelist())
        archive.extractall(unpacked)
    wanted = {name for name in listed() if name in SINGLE or name.split("/")[0] in WHOLE}
    yield from (f"{name} is not in the archive" for name in sorted(wanted - packed))
    yield from (f"{name} is in the archive" for name in sorted(packed - wanted))


def scanner_faults(unpacked: Path) -> Iterator[str]:
    """What the security scanner and comfy-test find in the archive."""
    scan = say(unpacked, "nodesafe", "scan", ".", "--format", "json", "--no-llm")
    answer = json.loads(scan.stdout[scan.stdout.index("{") :])
    if answer["verdict"]["label"] != "clean":
        yield f"nodesafe: the archive is {answer['verdict']['label']}"
        for found in answer["findings"]:
            if found["file"]:  # the sum of all findings has none
                yield f"nodesafe: {found['file']}:{found['line']}: {found['title']}"
    lint = say(unpacked, "comfy-test", "lint", ".", "--strict")
    if lint.returncode or "FAILED" in lint.stdout:
        summary = lint.stdout[max(0, lint.stdout.find("[SYNTAX]")) :]
        yield from (line for line in said("comfy-test lint", summary) if not line.endswith("PASSED"))


def main() -> None:
    """Print what is wrong and exit with 1, or say that all is well."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, unpacked = Path(scratch) / "tree", Path(scratch) / "acestep-graph"
        tree.mkdir()
        copied(tree)
        faults = [*metadata_faults(tree), *archive_faults(tree, unpacked)]
        if unpacked.is_dir():
            faults += scanner_faults(unpacked)
    if faults:
        sys.exit("\n".join(faults))
    print("The registry's checks and both scanners are content with the archive.")


if __name__ == "__main__":
    main()
