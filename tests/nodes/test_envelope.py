"""The picture of a song in the making: right, and never more than a small share of the run."""

import numpy as np
import pytest
import torch


@pytest.fixture
def envelopes(pack):
    return pack.nodes.runs.envelope


@pytest.fixture
def silence(pack):
    return pack.acestep_core.silence.Silence(torch.zeros(1, 20, 64))


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(envelopes, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(envelopes.time, "perf_counter", clock)
    return clock


def test_loud_frames_stand_taller_than_quiet_ones(envelopes):
    distance = np.zeros((1, 512), dtype=np.float32)
    distance[0, 256:] = 1.0
    kind, image, side = envelopes.picture_of(distance)
    bars = (np.asarray(image) == envelopes.BAR).all(-1).sum(0)
    assert (kind, side, image.size) == ("JPEG", envelopes.WIDTH, (envelopes.WIDTH, envelopes.ROW_HEIGHT))
    assert bars[:256].max() <= 2
    assert bars[256:].min() > 80


def test_every_song_has_a_row_up_to_four(envelopes, silence, clock):
    envelope = envelopes.Envelope(silence, 20)
    for songs, rows in ((1, 1), (3, 3), (9, 4)):
        clock.now += 1e6
        _, image, _ = envelope.of(torch.randn(songs, 20, 64))
        assert image.size[1] == rows * envelopes.ROW_HEIGHT


def test_what_was_added_to_a_short_song_is_not_shown(envelopes, silence):
    clean = torch.zeros(1, 128, 64)
    clean[:, 20:] = 9
    assert not envelopes.distance_from(silence.frames(20), clean[:, :20]).any()


def test_pictures_take_at_most_their_share_of_the_run(envelopes, silence, clock, monkeypatch):
    cost, step, drawn = 0.004, 0.01, []

    def slow(distance):
        clock.now += cost
        drawn.append(clock.now)
        return "JPEG", None, 1

    monkeypatch.setattr(envelopes, "picture_of", slow)
    envelope = envelopes.Envelope(silence, 20)
    for _ in range(2_000):
        clock.now += step
        envelope.of(torch.zeros(1, 20, 64))
    assert drawn
    assert len(drawn) * cost <= 0.03 * clock.now


def test_a_slow_run_shows_every_step(envelopes, silence, clock):
    envelope = envelopes.Envelope(silence, 20)
    for _ in range(5):
        clock.now += 2.0
        assert envelope.of(torch.zeros(1, 20, 64)) is not None
