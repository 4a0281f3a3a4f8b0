"""Teaches the transformer its lessons, and keeps a state from which a later run goes on exactly.

python -m training.generator STATE [--steps 13000] [--frames 256]

Lessons and noise are drawn on the processor, so that a card is taught the same.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .examples import batch
from .network import TinyModel, flow_loss
from .optimiser import Optimiser

SEED = 7
SAVE_EVERY = 300  # seconds
AVERAGE = 0.99  # of the weights that are kept for playing: the last hundred steps
SONGS = 16  # of a batch
STOPPED = 130  # what a run that was stopped ends with, so that nothing follows it


class Run:
    """Everything that changes while learning."""

    def __init__(self, seed: int = SEED, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        self.device = torch.device(device)
        self.model = TinyModel().to(self.device)
        self.optimiser = Optimiser(self.model)
        self.rng = np.random.default_rng(seed)
        self.step = 0
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def learn(self, scale: float, frames: int) -> float:
        """One step on songs of so many frames; its loss."""
        lessons = batch(self.rng, SONGS, frames)
        given = lessons.clean, lessons.weight, levels(SONGS), torch.randn_like(lessons.clean)
        loss = flow_loss(self.model, *(one.to(self.device) for one in given), lessons.shown.to(self.device))
        loss.backward()
        self.optimiser.step(scale)
        self.step += 1
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                self.average[name].lerp_(weight, 1 - keep)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write the state in one go, so that an interrupted run leaves the last one whole."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "average": self.average,
            "step": self.step,
            "torch": torch.get_rng_state(),
            "numpy": self.rng.bit_generator.state,
        }
        beside = path.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(path)

    def restore(self, path: Path) -> None:
        """Go on where `save` stopped."""
        state = torch.load(path, map_location="cpu", weights_only=False)
        self.model.load_state_dict(state["model"])
        self.optimiser.restore(state["optimiser"])
        self.average = {name: weight.to(self.device) for name, weight in state["average"].items()}
        self.step = state["step"]
        torch.set_rng_state(state["torch"])
        self.rng.bit_generator.state = state["numpy"]


def levels(songs: int) -> Tensor:
    """Noise levels to learn from: mostly those at which notes are chosen."""
    drawn = torch.sigmoid(1.4 * torch.randn(songs) + 2.2)
    return torch.where(torch.rand(songs) < 0.15, torch.rand(songs), drawn)


class Stop:
    """Whether somebody wants the run to end; it then saves first."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def teach(run: Run, path: Path, given: argparse.Namespace) -> bool:
    """Learn until the steps are done, the time is over or somebody asks to stop; whether that was asked."""
    start = saved = time.monotonic()
    shown, stop = 0.0, Stop()
    while (
        run.step < min(given.until, given.steps)
        and time.monotonic() - start < 60 * given.minutes
        and not stop.asked
    ):
        scale = min(1.0, run.step / 30) * max(0.03, 1 - run.step / given.steps)
        loss = run.learn(scale, given.frames)
        shown = loss if shown == 0 else 0.97 * shown + 0.03 * loss
        if run.step % 25 == 0:
            print(f"step {run.step}  loss {shown:.4f}  {time.monotonic() - start:.0f} s", flush=True)
        if time.monotonic() - saved > SAVE_EVERY:
            run.save(path)
            saved = time.monotonic()
    run.save(path)
    return stop.asked


def main() -> None:
    """Learn from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--steps", type=int, default=13000, help="where the learning rate reaches its end")
    parser.add_argument("--until", type=int, default=sys.maxsize, help="where to stop before that")
    parser.add_argument("--frames", type=int, default=256, help="length of the lessons")
    parser.add_argument("--threads", type=int, default=2)
    best = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=best, help="what computes; a card where there is one")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    run = Run(device=given.device)
    if given.state.is_file():
        run.restore(given.state)
    if teach(run, given.state, given):
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
