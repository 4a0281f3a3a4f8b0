"""In tiles or as one piece: the same song."""

from functools import partial

import pytest
import torch

from acestep_core.errors import InvalidAudioError, InvalidInputError
from acestep_core.networks import tiling
from acestep_core.networks.tiling import (
    CPU_PIECE,
    CPU_WORKSPACE_BYTES,
    OVERLAP,
    STEP_OVERLAP,
    TILE_LADDER,
    WORKSPACE_BYTES,
    activation_bytes,
    decode_tiled,
    encode_tiled,
    tile_for,
    tiles_of,
)
from support.comfyui.live_memory import LiveMemory
from support.reference.vae import FULL, TINY, latents, oobleck_of, sound, vaes

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

FRAME = 1_920
PEAK = 1e-5  # tolerance, relative to the loudest value


class StopError(Exception):
    """What a host raises when its user presses Stop."""


def same(tiled, whole):
    return tiled.shape == whole.shape and (tiled - whole).abs().max() <= PEAK * whole.abs().max()


@pytest.mark.parametrize(
    ("frames", "tile"), [(1, 32), (31, 32), (32, 32), (33, 32), (70, 32), (50, 7), (45, 1), (40, 64)]
)
def test_decoding_in_tiles_equals_decoding_the_whole(frames, tile):
    vae, z = vaes()[1], latents(frames)
    assert same(decode_tiled(vae, z, tile), vae.decode(z))


@pytest.mark.slow
@pytest.mark.parametrize("ragged", [0, 1, 960, 1_919])
@pytest.mark.parametrize(("frames", "tile"), [(1, 32), (33, 32), (48, 32), (49, 32), (40, 3), (40, 64)])
def test_encoding_in_tiles_equals_encoding_the_whole(frames, tile, ragged):
    vae, audio = vaes()[1], sound(frames * FRAME + ragged)
    tiled, whole = encode_tiled(vae, audio, tile), vae.encode(audio)
    assert same(tiled.mean, whole.mean)
    assert same(tiled.std, whole.std)


@pytest.mark.parametrize(("overlap", "enough"), [(4, False), (9, True), (10, True), (OVERLAP, True)])
def test_only_an_overlap_beyond_the_reach_is_exact(overlap, enough):
    vae, z = vaes()[1], latents(60)
    window = vae.decode(z[:, 25 - overlap : 35 + overlap])
    assert (
        same(
            window[..., overlap * FRAME : (overlap + 10) * FRAME], vae.decode(z)[..., 25 * FRAME : 35 * FRAME]
        )
        == enough
    )


@pytest.mark.parametrize("piece", [1, 5, 32])
def test_fine_blocks_in_pieces_equal_those_of_the_whole(piece, monkeypatch):
    vae, z, audio = vaes()[1], latents(33), sound(33 * FRAME + 960)
    monkeypatch.setattr(tiling, "CPU_PIECE", piece)
    assert same(decode_tiled(vae, z, 32), vae.decode(z))
    assert same(encode_tiled(vae, audio, 32).mean, vae.encode(audio).mean)


@pytest.mark.parametrize(("overlap", "enough"), [(12, False), (15, True), (STEP_OVERLAP, True)])
def test_only_pieces_that_overlap_beyond_the_reach_of_fine_blocks_are_exact(overlap, enough, monkeypatch):
    vae, z, audio = vaes()[1], latents(8), sound(8 * FRAME)
    monkeypatch.setattr(tiling, "CPU_PIECE", 1)
    monkeypatch.setattr(tiling, "STEP_OVERLAP", overlap)
    assert same(decode_tiled(vae, z, 32), vae.decode(z)) == enough
    assert same(encode_tiled(vae, audio, 32).mean, vae.encode(audio).mean) == enough


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_is_that_of_the_estimate_at_any_length(dtype):
    vae = oobleck_of(vaes()[0].state_dict(), dtype=dtype)
    allowed = activation_bytes(32, TINY, dtype, CPU) - CPU_WORKSPACE_BYTES
    for work, given in ((decode_tiled, latents), (encode_tiled, lambda frames: sound(frames * FRAME))):
        short, long = (over_output(partial(work, vae, song, 32), vae) for song in map(given, (80, 144)))
        assert short == long
        assert short < allowed


def over_output(work, vae):
    """Bytes that some work takes besides what it gives and what it is given."""
    with LiveMemory(CPU, vae.parameters()) as live:
        kept = work()
        given = live.now
    del kept
    return live.peak - given


def test_every_song_of_a_batch_is_done_alone():
    vae, z, audio = vaes()[1], latents(40, batch=2), sound(40 * FRAME + 5, batch=2)
    assert torch.equal(decode_tiled(vae, z, 32)[1:], decode_tiled(vae, z[1:], 32))
    assert torch.equal(encode_tiled(vae, audio, 32).std[1:], encode_tiled(vae, audio[1:], 32).std)


def test_a_seeded_sample_does_not_depend_on_the_tiles():
    vae, audio = vaes()[1], sound(50 * FRAME + 77)
    samples = [encode_tiled(vae, audio, tile).sample(torch.Generator().manual_seed(1)) for tile in (32, 11)]
    assert same(*samples)


def test_the_input_is_never_written_to():
    vae, z, audio = vaes()[1], latents(40), sound(40 * FRAME)
    kept = z.clone(), audio.clone()
    decode_tiled(vae, z, 32)
    encode_tiled(vae, audio, 32)
    assert torch.equal(z, kept[0])
    assert torch.equal(audio, kept[1])


def test_every_tile_is_reported_in_order():
    seen = []
    decode_tiled(vaes()[1], latents(40, batch=2), 16, on_tile=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize(
    "run",
    [
        lambda stop: decode_tiled(vaes()[1], latents(40), 16, stop),
        lambda stop: encode_tiled(vaes()[1], sound(40 * FRAME), 16, stop),
    ],
)
def test_a_listener_can_stop_the_work_after_any_tile(run):
    seen = []

    def stop_at_two(done, total):
        seen.append(done)
        if done == 2:
            raise StopError

    with pytest.raises(StopError):
        run(stop_at_two)
    assert seen == [1, 2]


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 1_000])
@pytest.mark.parametrize("size", TILE_LADDER)
def test_tiles_cover_the_song_once_and_see_their_overlap(frames, size):
    tiles = tiles_of(frames, size)
    assert [frame for tile in tiles for frame in range(tile.start, tile.stop)] == list(range(frames))
    for tile in tiles:
        assert tile.first == max(0, tile.start - OVERLAP)
        assert tile.last == min(frames, tile.stop + OVERLAP)


def test_the_tile_is_the_largest_that_fits():
    needs = [activation_bytes(tile, FULL, torch.float32) for tile in TILE_LADDER]
    assert needs == sorted(needs, reverse=True)
    assert [tile_for(need, FULL, torch.float32) for need in needs] == list(TILE_LADDER)
    assert tile_for(needs[1] - 1, FULL, torch.float32) == TILE_LADDER[2]
    assert tile_for(0, FULL, torch.float32) == TILE_LADDER[-1]


def test_a_cpu_needs_less_for_it_takes_tiles_in_pieces():
    needs = [activation_bytes(TILE_LADDER[0], FULL, torch.float32, device) for device in (CPU, None)]
    assert needs[0] - CPU_WORKSPACE_BYTES < (needs[1] - WORKSPACE_BYTES) / 4
    assert tile_for(needs[0], FULL, torch.float32, CPU) == TILE_LADDER[0]
    assert tile_for(needs[0], FULL, torch.float32) < TILE_LADDER[0]
    small = [activation_bytes(size, FULL, torch.float32, CPU) for size in (CPU_PIECE // 2, CPU_PIECE)]
    assert small[0] < small[1]


def test_half_the_precision_and_smaller_networks_need_less():
    full = activation_bytes(64, FULL, torch.float32)
    assert activation_bytes(64, FULL, torch.bfloat16) < full
    assert activation_bytes(64, TINY, torch.float32) < full


def test_wrong_input_is_refused_before_the_first_tile():
    vae, broken = vaes()[1], latents(40)
    broken[0, 39] = float("nan")
    with pytest.raises(InvalidInputError, match="NaN"):
        decode_tiled(vae, broken, 32, on_tile=lambda done, total: pytest.fail("a tile was decoded"))
    with pytest.raises(InvalidAudioError, match="cannot be encoded"):
        encode_tiled(vae, sound(FRAME - 1), 32)
    with pytest.raises(InvalidInputError, match="tile of 0 frames"):
        decode_tiled(vae, latents(4), 0)
