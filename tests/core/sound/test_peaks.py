import json
import math
import struct
import weakref
from pathlib import Path

import pytest
import torch

from acestep_core.errors import InvalidAudioError
from acestep_core.sound.peaks import PIECE, peaks_of, peaks_of_parts

CASES = json.loads((Path(__file__).parents[2] / "fixtures" / "peaks.json").read_text(encoding="utf-8"))


def plainly(samples: torch.Tensor, rate: int) -> bytes:
    """The format as its description says it, one sample after the other."""
    length = samples.shape[-1]
    pairs = []
    for at in range(math.ceil(length * 100 / rate)):
        start = at * rate // 100
        stop = min(length, max(start + 1, (at + 1) * rate // 100))
        inside = [float(sample) for channel in samples for sample in channel[start:stop]]
        pairs += [math.floor(127 * min(inside)), math.ceil(127 * max(inside))]
    clipped = [max(-127, min(127, step)) for step in pairs]
    header = b"AGPK" + struct.pack("<HHII", 1, 1, 100, len(pairs) // 2)
    return header + struct.pack(f"{len(clipped)}b", *clipped)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_cases_that_the_browser_reads_are_those_written_here(case):
    assert peaks_of(torch.tensor(case["samples"]), case["rate"]).hex() == case["file"]


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 97, 100])
@pytest.mark.parametrize("length", [1, 479, 480, 481, 12345])
def test_every_pair_holds_the_samples_of_its_hundredth(rate, length):
    samples = torch.randn(2, length, generator=torch.Generator().manual_seed(length)) * 0.4
    assert peaks_of(samples, rate) == plainly(samples, rate)


def test_long_songs_are_looked_at_in_pieces_and_stay_the_same():
    samples = torch.randn(1, (PIECE + 1) * 441 + 7, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    assert peaks_of(samples, 441) == plainly(samples, 441)


@pytest.mark.parametrize("length", [1, 100, 441, PIECE * 441, PIECE * 441 + 1, 3 * PIECE * 441])
def test_parts_of_any_length_are_the_same_song(length):
    samples = torch.randn(2, (3 * PIECE + 1) * 441 + 7, generator=torch.Generator().manual_seed(0)).clamp(
        -1, 1
    )
    if length < 441:
        samples = samples[:, : 441 * 3]
    assert peaks_of_parts(iter(samples.split(length, -1)), 441) == plainly(samples, 441)


def test_parts_of_other_channels_are_the_same_song():
    one, other = torch.full((1, 480), 0.5), torch.full((2, 960), -0.25)
    assert peaks_of_parts([one, other], 48_000)[16:] == struct.pack("6b", 63, 64, -32, -31, -32, -31)


def test_no_more_than_a_piece_is_kept_of_a_long_song():
    alive = weakref.WeakSet()

    def parts():
        for _ in range(5 * PIECE):
            part = torch.zeros(2, 8000)
            alive.add(part)
            yield part
            del part
            assert len(alive) <= 2

    assert len(peaks_of_parts(parts(), 8000)) == 16 + 2 * 100 * 5 * PIECE


def test_ten_minutes_take_120_kilobytes():
    assert len(peaks_of(torch.zeros(2, 600 * 8000), 8000)) == 16 + 2 * 60_000


def test_what_is_out_of_phase_is_seen():
    wave = torch.sin(torch.arange(4800) / 10)
    steps = torch.frombuffer(bytearray(peaks_of(torch.stack((wave, -wave)), 48000)[16:]), dtype=torch.int8)
    assert (steps.view(-1, 2).abs() > 100).all()


@pytest.mark.parametrize("samples", [torch.zeros(2, 0), torch.tensor([[0.0, math.nan]])])
def test_what_is_no_sound_is_refused(samples):
    with pytest.raises(InvalidAudioError):
        peaks_of(samples, 48000)


def test_no_part_is_no_sound():
    with pytest.raises(InvalidAudioError):
        peaks_of_parts([], 48000)
