"""The loading of a file of published size is measured at all: its small network is one that the pack takes."""

import pytest
from safetensors.torch import save_file

from acestep_core.checkpoints.load import PLAIN
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import DiffusionTransformer
from benchmarks import bench_load
from support.tiny.shapes import FULL_SIZE


def test_a_transformer_is_loaded_and_every_page_of_it_read(tmp_path, monkeypatch):
    small = {**FULL_SIZE, **bench_load.SMALL}
    monkeypatch.setattr(bench_load, "FULL_SIZE", small)
    network = DiffusionTransformer(ModelConfig.from_json(small), PLAIN)
    save_file(
        {name: p.detach().clone().contiguous() for name, p in network.state_dict().items()},
        tmp_path / "t.safetensors",
    )
    found = bench_load.measure(str(tmp_path / "t.safetensors"))
    assert found["load_s"] > 0
    looked = [p.detach().view(-1)[:: bench_load.PAGE // p.itemsize] for p in network.parameters()]
    assert found["checksum"] == pytest.approx(sum(float(values.sum()) for values in looked))
