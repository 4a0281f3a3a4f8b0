"""Every value by wire is checked by the rule of its input, for every input of every node, before any work on it."""

import math
import time
from fractions import Fraction

import numpy as np
import pytest
import torch

from support.comfyui.graphs import Node
from support.comfyui.trial import NODES, given

NAN, INF = math.nan, math.inf
NO_NUMBERS = ["3", None, [1], {}, torch.tensor(3.0), 1j, object(), b"3"]
NO_TENSORS = [None, "x", 3, [0.0], {}, object()]
INPUTS = [(kind, slot["name"]) for kind in NODES for slot in NODES[kind]["inputs"]]
ODD = {  # tensors that no operator of ours understands
    "complex": torch.ones(1, 64, 50, dtype=torch.complex64),
    "of fp8": torch.ones(1, 64, 50).to(torch.float8_e4m3fn),
    "sparse": torch.ones(1, 64, 50).to_sparse(),
    "meta": torch.ones(1, 64, 50, device="meta"),
    "nested": torch.nested.nested_tensor([torch.ones(64, 5), torch.ones(40, 5)], layout=torch.jagged),
}
ENDLESS = torch.zeros(1, 1, 1).expand(1, 64, 10**9)  # 256 GB, if anybody looked at it
TENSORS = {
    "LATENT": [
        *({"samples": value} for value in (*NO_TENSORS, *ODD.values(), ENDLESS)),
        *({"samples": torch.ones(*shape)} for shape in ((1, 4, 8, 8), (64, 50), (1, 64, 0), (65, 64, 2))),
        {"samples": torch.ones(1, 64, 50, dtype=torch.int64)},
        {"samples": torch.full((1, 64, 50), NAN)},
        {"samples": torch.full((1, 64, 50), INF)},
        *(
            {"samples": torch.ones(1, 64, 50), "noise_mask": value}
            for value in ("x", ODD["sparse"], torch.full((1, 50), NAN))
        ),
        *(
            {"samples": torch.ones(1, 64, 50), "batch_index": value}
            for value in ("1", 3, 1.5, [1, 2], [None], [-1], [2**70], ["a"])
        ),
    ],
    "AUDIO": [
        *({"waveform": value, "sample_rate": 48_000} for value in (*NO_TENSORS, *ODD.values(), ENDLESS)),
        {"waveform": torch.full((1, 2, 9), NAN), "sample_rate": 48_000},
        {"waveform": torch.ones(1025, 1, 2), "sample_rate": 48_000},
        *(
            {"waveform": torch.ones(1, 2, 9), "sample_rate": rate}
            for rate in (None, 0, -1, NAN, INF, "48000", 10**30)
        ),
    ],
    "MASK": [
        *ODD.values(),
        ENDLESS,
        torch.zeros(1, 1, 1).expand(1, 64, 10**6),
        torch.tensor(1.0),
        torch.ones(0),
        torch.full((1, 50), NAN),
        torch.ones(1, 1, 1, 1, 2),
    ],
    "SIGMAS": [*ODD.values(), torch.ones(2, 2), torch.tensor(1.0), torch.ones(1002), torch.tensor([1, 0])],
}


@pytest.fixture
def nodes(pack):
    return {node.define_schema().node_id: node for node in pack.nodes.NODES}


@pytest.fixture
def check(pack, nodes):
    """check(kind, name, value) -> what the node would get."""
    inner, values = pack.nodes.host.node, pack.nodes.host.values

    def checked(kind, name, value):
        return values.checked(inner.inputs_of(nodes[kind]), {name: value})[name]

    return checked


def slot_of(kind, name):
    (slot,) = [slot for slot in NODES[kind]["inputs"] if slot["name"] == name]
    return slot


def wrong_for(slot):
    """Values that an input must refuse."""
    numbers = [*NO_NUMBERS, NAN, INF, -INF, 10**400, -(10**5000)]
    wrong = {
        "INT": [*numbers, 1.5, slot.get("max", 0) + 1, slot.get("min", 0) - 1, np.float32(1.5)],
        "FLOAT": [*numbers, 1e30, 2**64, slot.get("max", 0) + 1, slot.get("min", 0) - 1, np.float64(NAN)],
        "BOOLEAN": [*NO_NUMBERS, 2, NAN],
        "STRING": [3, 1.5, None, ["x"], b"x", object()],
        "COMBO": [3, None, ["x"], b"x"],
    }
    plain = [] if slot["type"] in wrong else NO_TENSORS
    found = [*wrong.get(slot["type"], []), *plain, *TENSORS.get(slot["type"], [])]
    return [value for value in found if value is not None] if slot["optional"] else found


@pytest.mark.parametrize(("kind", "name"), INPUTS)
def test_a_value_that_the_input_cannot_have_is_refused_in_words(pack, check, kind, name):
    started = time.monotonic()
    for value in wrong_for(slot_of(kind, name)):
        with pytest.raises(pack.acestep_core.errors.AceStepError) as refused:
            check(kind, name, value)
        assert all(8 < len(line) < 300 and line.endswith(".") for line in str(refused.value).split("\n"))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(("kind", "name"), [at for at in INPUTS if slot_of(*at)["type"] in ("INT", "FLOAT")])
def test_every_number_in_the_range_is_taken_and_whole_ones_become_whole(check, kind, name):
    slot = slot_of(kind, name)
    for value in (slot["min"], slot["max"], Fraction(slot["max"]), np.float64(1.0)):
        if slot["min"] <= value <= slot["max"] and (slot["type"] == "FLOAT" or float(value) == value):
            got = check(kind, name, value)
            assert got == value
            assert type(got) is int or slot["type"] == "FLOAT"


def test_what_is_not_wired_is_left_out_and_a_number_of_numpy_is_a_number(pack, check, nodes):
    inputs = pack.nodes.host.node.inputs_of(nodes["AceGraphSampler"])
    assert pack.nodes.host.values.checked(inputs, {"mask": None, "shift": 2.0}) == {"shift": 2.0}
    assert check("AceGraphRetake", "songs", np.int64(3)) == 3
    assert check("AceGraphRetake", "each_song", np.bool_(True)) is True


def test_no_node_gets_round_it(pack, nodes):
    """Positional or by name, from ComfyUI's copies or from Python: the node itself sees checked values alone."""
    seen = []

    class Counting(pack.nodes.host.node.Node):
        @classmethod
        def define_schema(cls):
            return nodes["AceGraphSilenceLatent"].define_schema()

        @classmethod
        def execute(cls, model, seconds, batch_size=1):
            seen.append(batch_size)

    handle = object.__new__(pack.nodes.wires.sockets.ModelHandle)
    for node in (Counting, Counting.PREPARE_CLASS_CLONE(None)):
        node.execute(handle, 1.0, 2.0)
        for wrong in ((handle, 1.0, 65), (handle, NAN, 1), (None, 1.0, 1)):
            with pytest.raises(pack.acestep_core.errors.InvalidInputError):
                node.execute(*wrong)
    assert seen == [2, 2]


def test_every_type_of_input_has_a_rule(pack):
    types = {slot["type"] for entry in NODES.values() for slot in entry["inputs"]}
    assert types <= set(pack.nodes.host.values.RULES)


@pytest.mark.parametrize(
    ("kind", "wired", "problem"),
    [
        ("AceGraphRetake", {"seed": None}, "seed is None"),
        ("AceGraphRetake", {"seed": 2**64}, "seed is 18446744073709551616"),
        ("AceGraphRetake", {"seed": 1.5}, "no whole number"),
        ("AceGraphCodesFromText", {"text": 3}, "text is 3, which is no text"),
        ("AceGraphSamplingExtras", {"wavelet": 7}, "wavelet is 7"),
        ("AceGraphSamplingExtras", {"bf16_schedule": "yes"}, "neither true nor false"),
        ("AceGraphLoadCodes", {"file": 3}, "file is 3"),
    ],
)
def test_comfyui_shows_the_sentence(trial, graph, kind, wired, problem):
    node: Node = graph.add(kind, **{name: given(graph, value) for name, value in wired.items()})
    graph.add("PreviewAny", source=node[0])
    trial.fails(graph, node, problem)


def test_more_songs_than_a_batch_has_are_refused_by_every_rule(pack):
    sockets, errors = pack.nodes.wires.sockets, pack.acestep_core.errors
    rule = pack.nodes.host.values.RULES[sockets.Conditions.io_type]
    brief, task = (
        pack.acestep_core.text.prompts.Brief("a song"),
        pack.acestep_core.text.tasks.TASKS["text2music"],
    )
    one = pack.acestep_core.text.conditions.Condition(torch.zeros(9, 40), task, brief)
    widget = sockets.Conditions.Input("conditions")
    assert rule(widget, (one,) * 64) == (one,) * 64
    with pytest.raises(errors.InvalidInputError, match="65 songs"):
        rule(widget, (one,) * 65)
    with pytest.raises(errors.InvalidInputError, match="no node of ACE-Step"):
        rule(widget, (one, None))
