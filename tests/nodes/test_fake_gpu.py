"""The pretended cards see what they are there to see; without these tests their silence would prove nothing."""

import pytest
import torch
from torch import nn

from support.comfyui.fake_gpu import Watch, fake_gpu, pretend_gpu

MB = 1024 * 1024


class Stack(nn.Module):
    """Four layers of 1 MB each, and what often goes wrong beside them."""

    def __init__(self, linear, loose=False, buffer=False):
        super().__init__()
        self.layers = nn.ModuleList(linear(512, 512, bias=False) for _ in range(4))
        self.loose = nn.Parameter(torch.zeros(512), requires_grad=False) if loose else None
        self.table = nn.Module()
        if buffer:
            self.table.register_buffer("values", torch.zeros(512))
        for layer in self.layers:
            layer.weight.requires_grad_(False).fill_(
                0.01
            )  # layers of ComfyUI start with whatever lay in memory

    def forward(self, x):
        x = x if self.loose is None else x + self.loose
        x = x + self.table.values if hasattr(self.table, "values") else x
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.fixture
def runtime(pack):
    return pack.nodes.host.runtime


def managed(runtime, module):
    return runtime.Managed(module, runtime.Role.TRANSFORMER, torch.float32)


@pytest.mark.parametrize(("total_mb", "resident"), [(64, 4), (4.2, 2), (1.05, 0)])
def test_numbers_do_not_depend_on_how_much_of_a_network_fits(runtime, total_mb, resident):
    x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    plain = Stack(nn.Linear)
    expected = plain(x)
    with pretend_gpu(total_mb):
        part = managed(runtime, Stack(runtime.OPS.Linear))
        network = part.loaded(0)
        assert part.device == torch.device("cpu", 0)
        assert part.patcher.loaded_size() <= resident * MB
        assert (part.patcher.loaded_size() == 4 * MB) == (resident == 4)
        assert torch.equal(network(x), expected)


def test_a_network_makes_room_for_the_next(runtime):
    with pretend_gpu(total_mb=5.5):
        first, second = (managed(runtime, Stack(runtime.OPS.Linear)) for _ in range(2))
        first.loaded(0)
        assert first.patcher.loaded_size() == 4 * MB
        second.loaded(0)
        assert first.patcher.loaded_size() < 4 * MB


def test_everything_is_as_before_when_a_card_is_gone(runtime):
    import comfy.model_management as mm

    before, to, tensor = dict(vars(mm)), nn.Module.to, torch.tensor
    with pretend_gpu(total_mb=8):
        managed(runtime, Stack(runtime.OPS.Linear)).loaded(0)
    with fake_gpu(total_mb=8):
        managed(runtime, Stack(runtime.OPS.Linear)).loaded(0)
    changed = {name for name, value in vars(mm).items() if before.get(name) is not value}
    assert changed <= {"interrupt_processing"}
    assert (nn.Module.to, torch.tensor) == (to, tensor)
    with torch.device("meta"):
        assert torch.tensor(0).is_meta
    assert not mm.current_loaded_models


@pytest.mark.parametrize("total_mb", [64, 4.2, 1.05])
def test_layers_that_fetch_their_weights_work_on_a_card_of_any_size(runtime, total_mb):
    with fake_gpu(total_mb) as device:
        network = managed(runtime, Stack(runtime.OPS.Linear)).loaded(0)
        assert network(torch.zeros(3, 512, device=device)).device == device


@pytest.mark.parametrize("fault", ["plain layer", "loose parameter", "buffer"])
def test_what_stays_behind_is_found(runtime, fault):
    with fake_gpu(total_mb=1.05) as device:
        linear = nn.Linear if fault == "plain layer" else runtime.OPS.Linear
        stack = Stack(linear, loose=fault == "loose parameter", buffer=fault == "buffer")
        network = managed(runtime, stack).loaded(0)
        with pytest.raises(RuntimeError, match=r"device"):
            network(torch.zeros(3, 512, device=device))


def test_what_is_read_from_a_card_is_seen(host):
    with fake_gpu(total_mb=8) as device, Watch(device) as watch:
        values = torch.zeros(3, device=device)
        assert bool((values == 1).all())
        assert values.cpu().tolist() == [1.0, 1.0, 1.0]  # asked of the copy, which nobody has to wait for
    assert (watch.asked, watch.fetched) == (1, [(3,)])


@pytest.mark.parametrize("state", ["NORMAL_VRAM", "LOW_VRAM", "NO_VRAM"])
def test_a_flag_decides_what_stays_behind(runtime, state):
    with pretend_gpu(total_mb=64, state=state):
        part = managed(runtime, Stack(runtime.OPS.Linear))
        part.loaded(0)
        assert part.patcher.loaded_size() == (0 if state == "NO_VRAM" else 4 * MB)
