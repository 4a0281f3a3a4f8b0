"""Everything from nothing, each part unless it is there already: codec, codes, lessons, checkpoint, measures.

python -m training STATE OUT [--steps 13000] [--device cpu]
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

LONG_SHARE = 0.2  # of the steps, the last ones, with lessons twice as long


def stage(module: str, *arguments: object) -> None:
    """Run one part; its own output tells how far it is. Ctrl-C is for the part, which saves first, and ends all."""
    print(f"== {module}", flush=True)
    signal.signal(signal.SIGINT, lambda *_: None)  # what is started does not inherit this
    done = subprocess.run([sys.executable, "-m", f"training.{module}", *map(str, arguments)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Make the checkpoint from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=13000)
    parser.add_argument("--device", help="what teaches; without it a CUDA card where there is one")
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    codec, codes, generator = (given.state / f"{name}.pt" for name in ("codec", "codes", "generator"))
    if not codec.is_file():
        stage("codec", codec)
    if not codes.is_file():
        stage("codes", codes)
    short = round(given.steps * (1 - LONG_SHARE))
    device = ("--device", given.device) if given.device else ()
    stage("generator", generator, "--steps", given.steps, "--until", short, "--frames", 128, *device)
    stage("generator", generator, "--steps", given.steps, "--frames", 256, *device)
    stage("export", generator, codec, codes, given.out)
    stage("evaluate", given.out)


if __name__ == "__main__":
    main()
