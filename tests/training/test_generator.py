"""A lesson is taught wholly on the device that is asked for; a run that was saved goes on exactly."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from support.comfyui.fake_gpu import Watch, backend_device, move_module, replaced
from training.examples import batch
from training.generator import SONGS, STOPPED, Run, levels
from training.network import Shown, Texts, TinyModel, flow_loss

ROOT = Path(__file__).resolve().parents[2]


def tensor(data, device="cpu", plain=torch.tensor):
    """torch.tensor without numbers; one that has them would be computed with for good."""
    made = plain(data)
    return torch.empty(made.shape, dtype=made.dtype).to(device)


def hollow(shown, fake):
    """What is shown, without numbers."""
    told = shown.texts
    texts = Texts(
        fake(told.captions), fake(told.lengths), [fake(row) for row in told.lyrics], fake(told.lyrics_of)
    )
    rest = (shown.timbres, shown.timbre_of, shown.dropped)
    return Shown(fake(shown.context), texts, *map(fake, rest))


def test_a_card_is_given_all_that_a_lesson_needs():
    lessons, device = batch(np.random.default_rng(1), SONGS, 128), backend_device()
    given = lessons.clean, lessons.weight, levels(SONGS), torch.randn_like(lessons.clean)
    with (
        FakeTensorMode() as mode,
        torch.no_grad(),
        replaced(nn.Module, to=move_module),
        replaced(torch, tensor=tensor),
    ):
        shown, given = hollow(lessons.shown, mode.from_tensor), [mode.from_tensor(one) for one in given]
        model = TinyModel().to(device)
        with Watch(device):  # an operator that meets tensors of two devices raises
            loss = flow_loss(model, *(one.to(device) for one in given), shown.to(device))
    assert loss.device == device
    assert loss.shape == ()


def test_a_run_goes_on_exactly_where_it_was_saved(tmp_path):
    torch.manual_seed(0)
    run, again = Run(seed=1), Run(seed=2)
    run.learn(0.5, 20)
    run.save(tmp_path / "state.pt")
    losses = [run.learn(0.5, 20) for _ in range(2)]
    again.restore(tmp_path / "state.pt")
    assert [again.learn(0.5, 20) for _ in range(2)] == losses
    for name, weight in run.average.items():
        assert torch.equal(weight, again.average[name]), name


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_learnt_and_nothing_follows(tmp_path):
    state, said = tmp_path / "state.pt", tmp_path / "said"
    more = f"'generator', {str(state)!r}, '--threads', 1, '--frames', 20, '--device', 'cpu'"
    script = f"from training.__main__ import stage; stage({more}); print('more followed', flush=True)"
    with said.open("w") as file:
        running = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=file, start_new_session=True
        )
    deadline = time.monotonic() + 120
    while "step 25 " not in said.read_text() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to everybody
    assert running.wait(60) == STOPPED
    assert "more followed" not in said.read_text()
    again = Run(seed=2)
    again.restore(state)
    assert again.step >= 25
