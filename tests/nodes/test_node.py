"""What ComfyUI shows of an error, and what is left of it for those who catch it."""

import contextlib
import pickle
import threading
import traceback

import pytest
import torch

from support.comfyui.trial import given


@pytest.fixture
def errors(pack):
    return pack.acestep_core.errors


@pytest.fixture
def failing(pack):
    from comfy_api.latest import io  # there once the host has started

    class Failing(pack.nodes.host.node.Node):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Failing", display_name="Failing")

        @classmethod
        def execute(cls, kind):
            try:
                raise OSError("the reason")
            except OSError as fault:
                raise kind("The song is too long.", "Shorten it.") from fault

    return Failing


def test_every_node_fails_by_name(pack):
    assert all(issubclass(node, pack.nodes.host.node.Node) for node in pack.nodes.NODES)


def test_comfyui_shows_the_name_of_the_package(trial, graph, run_graph):
    node = graph.add(
        "AceGraphCodesFromText", text=given(graph, "no codes")
    )  # or it is refused before it runs
    graph.add("PreviewAny", source=node["report"])
    failure = run_graph(graph).failure
    assert failure["exception_type"] == "ACE-Step.InvalidInputError"
    assert "codes.py" in "".join(failure["traceback"])


@pytest.mark.parametrize("name", ["InvalidInputError", "FileError", "DeviceFullError"])
def test_what_is_shown_is_the_error_itself_and_pickles_as_it(failing, errors, name):
    kind = getattr(errors, name)
    with pytest.raises(kind) as caught:
        failing.PREPARE_CLASS_CLONE(None).execute(kind)
    shown = caught.value
    assert (type(shown).__module__, type(shown).__qualname__) == ("ACE-Step", name)
    assert (shown.problem, shown.remedy) == ("The song is too long.", "Shorten it.")
    assert str(shown.__cause__) == "the reason"
    log = "".join(traceback.format_exception(shown))
    assert f"ACE-Step.{name}: The song is too long." in log
    assert f"errors.{name}" not in log
    kept = pickle.loads(pickle.dumps(shown))  # noqa: S301
    assert type(kept) is kind
    assert kept.remedy == shown.remedy


def test_an_error_that_is_none_of_ours_comes_as_it_is(failing):
    with pytest.raises(ZeroDivisionError) as caught:
        failing.execute(lambda *_: 1 / 0)
    assert type(caught.value) is ZeroDivisionError


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("could not execute a primitive"),
    ],
)
def test_memory_that_runs_out_anywhere_in_a_node_is_said(host, failing, errors, fault):
    def full(*_):
        raise fault

    with pytest.raises(errors.DeviceFullError, match="Memory ran out in Failing") as caught:
        failing.execute(full)
    assert isinstance(caught.value, host.module("comfy.model_management").OOM_EXCEPTION)  # so it unloads
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize(
    ("said", "goes_on_with_onednn"),
    [("could not create a primitive", False), ("could not execute a primitive", True), ("bad", True)],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_thread_that_lost_onednn_computes_without_it(failing, errors, said, goes_on_with_onednn, deep):
    """Where memory runs out in the writing of a kernel, oneDNN refuses every later one in that thread."""
    seen = []

    def full(*_):
        fault = RuntimeError(said)
        if deep:
            raise errors.DeviceFullError("The model does not fit.", "Choose a smaller one.") from fault
        raise fault

    def look(*_):
        seen.append(torch.backends.mkldnn.enabled)
        return ValueError()

    def run(*works):
        for work in works:
            with contextlib.suppress(RuntimeError, ValueError):
                failing.execute(work)

    for _ in range(2):  # each thread has a fault of its own
        thread = threading.Thread(target=run, args=(full, look))
        thread.start()
        thread.join()
    assert seen == [goes_on_with_onednn] * 2
    assert torch.backends.mkldnn.enabled
    run(look)
    assert seen[-1]


def test_whoever_goes_on_after_full_memory_notes_what_was_lost(pack, failing):
    """A smaller tile is tried in the same execution: it needs kernels as well."""
    seen = []

    def smaller(*_):
        pack.nodes.host.kernels.note_lost(RuntimeError("could not create a primitive"))
        seen.append(torch.backends.mkldnn.enabled)
        return ValueError()

    def run():
        with contextlib.suppress(ValueError):
            failing.execute(smaller)
        seen.append(torch.backends.mkldnn.enabled)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False, True]  # what others compute with is left as it was
