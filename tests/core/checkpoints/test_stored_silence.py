"""The stored silence is bounded in storage and in shape before anything is computed with it."""

import io
import zipfile

import pytest
import torch

from acestep_core.checkpoints import stored_silence
from acestep_core.checkpoints.stored_silence import checked_silence, read_silence
from acestep_core.errors import UnsupportedCheckpointError

EXPANDED = torch.zeros(1, 64, 1).expand(1, 64, 3 * 10**7)  # 1.9 GB to look at, stored as one frame


@pytest.mark.parametrize(
    "stored",
    [
        EXPANDED,
        torch.zeros(1, 64, 1).expand(1, 64, 100),
        torch.zeros(1, 64, 0),
        torch.zeros(1, 64, stored_silence.MAX_FRAMES + 1, dtype=torch.float16),
        torch.zeros(1, 64, 9).to_sparse(),
        torch.zeros(1, 64, 9, device="meta"),
        torch.zeros(1, 64, 9).to(torch.float8_e4m3fn),
        torch.zeros(1, 64, 9, dtype=torch.complex64),
        torch.nn.Parameter(torch.zeros(1, 64, 9)),
    ],
    ids=[
        "expanded",
        "expanded a little",
        "empty",
        "too long",
        "sparse",
        "meta",
        "fp8",
        "complex",
        "parameter",
    ],
)
def test_only_a_plain_tensor_of_a_songs_length_is_a_silence(tmp_path, monkeypatch, stored):
    path = tmp_path / "silence_latent.pt"
    torch.save(stored, path)
    monkeypatch.setattr(stored_silence, "rearrange", None)  # nothing is made of it
    with pytest.raises(UnsupportedCheckpointError, match=r"silence_latent.pt (holds a|is no plain tensor)"):
        read_silence(path, 64)


def test_a_file_that_unpacks_to_more_than_a_silence_is_not_unpacked(tmp_path, monkeypatch):
    plain, path = io.BytesIO(), tmp_path / "silence_latent.pt"
    torch.save(torch.zeros(1, 64, 400_000), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UnsupportedCheckpointError, match="unpacks to more than 64 MB"):
        read_silence(path, 64)


@pytest.mark.parametrize(
    "stored",
    [EXPANDED.mT, torch.zeros(1, 9, 8), torch.full((1, 9, 64), float("inf")), torch.zeros(1, 9, 64).long()],
)
def test_a_silence_among_the_weights_is_checked_as_well(stored):
    with pytest.raises(
        UnsupportedCheckpointError, match=r"model holds a tensor .*, not finite latents \[1, frames, 64\]"
    ):
        checked_silence(stored, 64, "model")


def test_a_sound_silence_is_read():
    stored = torch.randn(1, 9, 64, dtype=torch.float16)
    assert torch.equal(checked_silence(stored, 64, "model"), stored.float())


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_is_no_fault_of_the_file(tmp_path, monkeypatch, fault):
    path = tmp_path / "silence_latent.pt"
    torch.save(torch.zeros(1, 64, 9), path)

    def full(*_, **__):
        raise fault

    monkeypatch.setattr(stored_silence.torch, "load", full)
    with pytest.raises(type(fault)):
        read_silence(path, 64)
