"""When a step is recorded, and what happens where that fails; the recording itself needs a card."""

import gc
import time
import weakref
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from acestep_core.networks import cuda_graph
from acestep_core.planner.decoding import Decoder, StaticStep
from support.reference.planner import pair

CARD = torch.device("cuda", 0)


@pytest.fixture
def card(monkeypatch):
    """A machine that seems to have an NVIDIA card."""
    stream, streams = SimpleNamespace(device=CARD), []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(cuda_graph, "REFUSED", set())
    return SimpleNamespace(stream=stream, streams=streams)


def network_on(*devices):
    return SimpleNamespace(parameters=lambda: [SimpleNamespace(device=device) for device in devices])


def test_only_a_network_that_lies_whole_on_an_nvidia_card_is_recorded(card, monkeypatch):
    assert cuda_graph.can_capture(network_on(CARD, CARD), CARD)
    assert not cuda_graph.can_capture(network_on(CARD, torch.device("cpu")), CARD)
    assert not cuda_graph.can_capture(nn.Linear(2, 2), torch.device("cpu"))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert not cuda_graph.can_capture(network_on(CARD), CARD)


def test_nothing_is_recorded_where_steps_have_to_be_deterministic(card):
    torch.use_deterministic_algorithms(True)
    try:
        assert not cuda_graph.can_capture(network_on(CARD), CARD)
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_refusal_is_told_once_and_leaves_the_stream_as_it_was(card, monkeypatch, caplog):
    def refused(step):
        raise RuntimeError("no room")

    monkeypatch.setattr(cuda_graph, "recording", refused)
    assert cuda_graph.recorded(list) is None
    assert card.streams == [card.stream]
    assert not cuda_graph.can_capture(network_on(CARD), CARD)
    assert [record.getMessage().count("no room") for record in caplog.records] == [1]


def test_stop_is_no_refusal(card, monkeypatch):
    class Stopped(BaseException):
        pass

    def stopped(step):
        raise Stopped

    monkeypatch.setattr(cuda_graph, "recording", stopped)
    with pytest.raises(Stopped):
        cuda_graph.recorded(list)
    assert cuda_graph.can_capture(network_on(CARD), CARD)


@pytest.mark.parametrize("static", [False, True])
def test_what_was_read_is_free_as_soon_as_nobody_reads_on(static):
    ours = pair()[1]
    gc.disable()
    try:
        decoder = Decoder(ours, ([7, 3, 80],), 2, 8)
        if static:
            decoder._static = StaticStep(ours, decoder.cache, lambda step: None)
        decoder.feed(torch.tensor([[5], [6]]))
        cache = weakref.ref(decoder.cache)
        del decoder
        assert cache() is None
    finally:
        gc.enable()


def test_a_card_that_is_full_once_is_asked_again_in_the_next_run(card, monkeypatch):
    def full(step):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(cuda_graph, "recording", full)
    assert cuda_graph.recorded(list) is None
    assert cuda_graph.can_capture(network_on(CARD), CARD)


@pytest.mark.parametrize(("launching", "working", "waits"), [(0.02, 0.0, True), (0.0, 0.02, False)])
def test_a_card_that_is_done_with_the_last_launch_was_waiting_for_it(card, launching, working, waits):
    steps = []

    def step():
        steps.append(time.sleep(launching))

    card.stream.synchronize = lambda: time.sleep(working)
    assert cuda_graph.waits_for_launches(step) is waits
    assert len(steps) == 1
