"""Nothing outside a span changes when asked so; seams follow the specified ramps."""

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.repaint import Injection, RepaintStrength, blend, ramps
from acestep_core.timebase import FrameSpan


def literal_ramps(frames, start, stop, width):
    """One span, as the specification writes it."""
    mask = torch.zeros(frames)
    mask[start:stop] = 1
    rise = torch.linspace(0, 1, width + 2)[1:-1]
    for k in range(width):
        if start - width + k >= 0:
            mask[start - width + k] = rise[k]
        if stop + k < frames:
            mask[stop + k] = rise[width - 1 - k]
    return mask


@pytest.mark.parametrize(("start", "stop"), [(20, 40), (0, 10), (50, 60), (3, 4), (0, 60)])
@pytest.mark.parametrize("width", [0, 1, 12, 25])
def test_ramps_lie_outside_the_span_as_specified(start, stop, width):
    ours = ramps(FrameSpan(start, stop).mask(60)[None] > 0.5, width)[0]
    assert torch.allclose(ours, literal_ramps(60, start, stop, width), atol=1e-6)


def test_between_two_spans_the_nearer_ramp_counts():
    inside = torch.zeros(1, 40, dtype=torch.bool)
    inside[:, 5:10] = inside[:, 20:25] = True
    expected = torch.maximum(literal_ramps(40, 5, 10, 8), literal_ramps(40, 20, 25, 8))
    assert torch.allclose(ramps(inside, 8)[0], expected, atol=1e-6)


@pytest.mark.parametrize(("strength", "frames"), [(0.0, 25), (0.1, 22), (0.3, 18), (0.5, 12), (1.0, 0)])
def test_the_seam_is_the_nearest_number_of_frames(strength, frames):
    assert RepaintStrength(strength).seam_frames == frames


def test_a_song_without_a_span_has_no_ramp():
    assert not ramps(torch.zeros(1, 10, dtype=torch.bool), 5).any()


def test_the_blend_is_new_inside_and_bit_equal_to_the_source_beyond_the_seam():
    new, clean = torch.randn(1, 60, 4), torch.randn(1, 60, 4)
    out = blend(new, clean, FrameSpan(20, 40).mask(60)[None], 5)
    assert torch.equal(out[:, 20:40], new[:, 20:40])
    assert torch.equal(out[:, :15], clean[:, :15])
    assert torch.equal(out[:, 45:], clean[:, 45:])
    assert not torch.equal(out[:, 15:20], clean[:, 15:20])


def test_soft_values_of_a_mask_soften_the_seam():
    new, clean = torch.ones(1, 6, 1), torch.zeros(1, 6, 1)
    mask = torch.tensor([[0.0, 0.4, 1.0, 1.0, 0.2, 0.0]])
    assert torch.allclose(blend(new, clean, mask, 0)[0, :, 0], mask[0])


def test_injection_puts_the_surroundings_back_at_the_next_noise_level():
    x, clean, noise = (torch.randn(1, 10, 2) for _ in range(3))
    outside = FrameSpan(3, 6).mask(10)[None, :, None] == 0
    out = Injection(2, outside, clean, noise)(x, 1, 0.25)
    assert torch.equal(out[:, 3:6], x[:, 3:6])
    assert torch.allclose(out[:, :3], 0.25 * noise[:, :3] + 0.75 * clean[:, :3])
    assert torch.equal(Injection(2, outside, clean, noise)(x, 2, 0.25), x)


@pytest.mark.parametrize(
    ("strength", "held", "seam_frames", "seam_seconds"),
    [(0.0, 8, 25, 0.05), (0.5, 4, 12, 0.025), (1.0, 0, 0, 0.0)],
)
def test_strength_runs_from_conservative_to_aggressive(strength, held, seam_frames, seam_seconds):
    value = RepaintStrength(strength)
    assert value.held_steps(8, frees_last=False) == held
    assert value.seam_frames == seam_frames
    assert value.seam_seconds == pytest.approx(seam_seconds)


def test_a_turbo_models_last_step_is_never_held():
    assert RepaintStrength(0.0).held_steps(8, frees_last=True) == 7


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_its_range_is_refused(strength):
    with pytest.raises(InvalidInputError, match="repaint strength"):
        RepaintStrength(strength)
