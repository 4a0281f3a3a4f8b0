"""What is said of long songs, of the share of the best product and of planners that were only counted, at tiny sizes."""

from ast import literal_eval
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks import attention
from acestep_core.networks.dit import DiffusionTransformer
from benchmarks import bench_dit, bench_long, bench_planner, harness
from benchmarks.bench_long import Item
from benchmarks.cards.sizes import TINY
from benchmarks.figures.operations import counted
from benchmarks.harness import Row


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """On the CPU, with two layers of the tiny model for every depth that is asked for."""
    monkeypatch.setenv(harness.DEVICE, "cpu")
    monkeypatch.setattr(bench_long, "with_layers", lambda _: TINY.config)
    monkeypatch.setattr(bench_long, "size", lambda tiny: TINY)
    monkeypatch.setattr(bench_long, "usual", lambda: "fp32")


def test_an_evaluation_is_guided_and_of_as_many_songs_as_its_item_says():
    network = bench_long.transformer(1, "fp32")
    plain, guided, many = (
        bench_long.evaluation(network, item)()
        for item in (Item(1.0), Item(1.0, guided=True), Item(1.0, songs=3))
    )
    assert plain.uncond is None
    assert guided.uncond.shape == plain.cond.shape == (1, 25, TINY.config.audio_acoustic_hidden_dim)
    assert len(many.cond) == 3
    assert Item(2.0, 3, True).name == "evaluation, 3 songs of 2 s, fp32, guided"
    assert Item(2.0, dtype="bf16").name == "evaluation, 2 s, bf16"


def test_operations_are_counted_without_weights_and_grow_with_songs():
    one, two = (bench_long.flop_of(TINY.config, Item(1.0, songs=songs)) for songs in (1, 2))
    assert 1.5 * one < two <= 2 * one


def test_the_peak_is_that_since_it_was_forgotten():
    block = torch.ones(1 << 24)
    del block
    harness.forget_peak()
    before = harness.resident_bytes()
    assert harness.resident_bytes(peak=True) - before < 1 << 24
    block = torch.ones(1 << 24)
    assert harness.resident_bytes(peak=True) - before > 0.9 * block.nbytes


def test_a_whole_song_is_written_and_takes_memory():
    assert 0 < bench_long.song_memory(5.5, 1) < 2


def test_time_and_memory_of_an_evaluation_are_measured_at_once():
    seen = bench_long.Seen(*bench_long.evaluated(1.0, 1, False, "", 1, True))
    assert 0 < seen.least <= seen.median <= seen.most
    assert 0 <= seen.mib < 1024
    row = bench_long.memory_row(Item(1.0), seen, 1)
    assert (row.measured, row.unit) == (seen.mib, "MiB")


def test_growth_is_told_by_turns_of_equal_lengths(monkeypatch):
    evaluated, plain = [], bench_long.evaluation

    def noted(network, item):
        return counting(plain(network, item), evaluated, item.seconds)

    def here(module, function, *given):
        return getattr(bench_long, function)(*literal_eval(repr(given)))  # as another process is told

    monkeypatch.setattr(bench_long, "GROWTH_LAYERS", 1)
    monkeypatch.setattr(bench_long, "evaluation", noted)
    monkeypatch.setattr(bench_long, "in_fresh_process", here)
    row = bench_long.growth_row(Item(1.0), Item(3.0), True)
    assert row.item == "evaluation, 3 s, fp32 over 1 s"
    assert row.measured > 0
    assert evaluated[-4:] == [1.0, 1.0, 1.0, 3.0]


def counting(work, into, seconds):
    def counted():
        into.append(seconds)
        return work()

    return counted


def test_dtypes_that_crawl_are_left_out(monkeypatch):
    monkeypatch.setattr(harness, "gemm_peak", lambda dtype, _: 1.0 if dtype is torch.bfloat16 else 100.0)
    harness.usable.cache_clear()
    assert (harness.usable(), harness.usual()) == (("fp32",), "fp32")
    monkeypatch.setattr(harness, "gemm_peak", lambda dtype, _: 100.0)
    harness.usable.cache_clear()
    assert harness.usual() == "bf16"
    harness.usable.cache_clear()


@pytest.mark.parametrize(
    ("usual", "units", "kind"),
    [("fp32", True, "-fp32"), ("bf16", False, "-avx512"), ("bf16", True, "")],
)
def test_results_of_processors_with_other_instructions_have_other_names(monkeypatch, usual, units, kind):
    monkeypatch.setattr(harness, "usual", lambda: usual)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units, raising=False)
    assert harness.kind() == kind


def test_a_planner_in_bytes_is_read_as_the_exact_one(monkeypatch):
    monkeypatch.setattr(bench_planner, "SIZES", bench_planner.SMALL)
    exact = bench_planner.planners(bench_planner.SMALL, torch.float32)[1]
    with torch.inference_mode():
        same, lost = bench_planner.sanity(exact, bench_planner.rounded(exact), "int8")
    assert 0 <= same.measured <= 1
    assert abs(lost.measured) < 0.1
    assert exact.layers[0].mlp.up_proj.weight.dtype is torch.float32


def test_the_share_is_that_of_operations_per_second(monkeypatch):
    network = DiffusionTransformer(TINY.config, nn).requires_grad_(False)
    product = bench_dit.best_product(network, 50)
    assert counted(product) > 0
    monkeypatch.setattr(bench_dit, "evaluations", lambda *_: (product, None))
    monkeypatch.setattr(bench_dit, "best_product", lambda *_: product)
    row = bench_dit.share_of_limit(bench_dit.SHARES[0], None, network, quick=False)
    assert 0.2 < row.measured < 5  # a product against itself


def test_both_forms_of_attention_take_part_in_their_race(monkeypatch):
    by_products = []

    def evaluate():
        by_products.append(attention.has_instructions_alone())
        return torch.ones(3)

    monkeypatch.setattr(attention, "has_instructions_alone", lambda: True)
    monkeypatch.setattr(bench_dit, "evaluations", lambda *_: (evaluate, None))
    row = bench_dit.forms(bench_dit.SHARES[0], None, None, quick=True)
    assert by_products[:2] == [True, False]  # compared, then raced
    assert by_products.count(True) == by_products.count(False)
    assert (row.gate, row.details["difference"]) == (1.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("by_products", [True, False])
def test_operations_on_a_processor_are_those_on_shapes_alone_however_it_attends(
    monkeypatch, dtype, by_products
):
    item = Item(40.0)  # beyond the window
    with torch.device("meta"):
        shapes = bench_long.evaluation(DiffusionTransformer(TINY.config, nn).requires_grad_(False), item)
    with FlopCounterMode(display=False) as counter:
        shapes()
    monkeypatch.setattr(attention, "LITTLE", 0)
    monkeypatch.setattr(attention, "has_instructions_alone", lambda: by_products)
    network = DiffusionTransformer(TINY.config, nn).requires_grad_(False).to(dtype)
    assert counted(bench_long.evaluation(network, item)) == counter.get_total_flops()


def test_a_planner_that_is_counted_writes_as_much_slower_as_it_has_more_to_read(monkeypatch):
    monkeypatch.setattr(bench_planner, "usual", lambda: "bf16")
    small = bench_planner.SIZES
    twice = replace(small, num_hidden_layers=2 * small.num_hidden_layers)
    found = bench_planner.counted("twice", twice, Row("measured", 0.5, details={"per_s": 10.0}))
    head = 2 * len(bench_planner.CODES) * small.hidden_size
    layers = bench_planner.bytes_per_code(small) - head
    assert layers == 2 * 28 * (2 * 1024 * (2048 + 1024) + 3 * 1024 * 3072 + 2 * 1024 + 2 * 128)
    assert found.measured == pytest.approx(10 * (layers + head) / (2 * layers + head))
