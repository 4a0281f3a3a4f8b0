"""Each guidance against its formula written out, element by element, and its laws."""

import math

import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from acestep_core.sampling.guidance import GUIDANCE, Adg, Apg, Cfg, Evaluation, wide


def branches(frames: int = 40, batch: int = 2, t: float = 0.7, seed: int = 0, spread: float = 1.0):
    generator = torch.Generator().manual_seed(seed)
    x, cond, difference = (torch.randn(batch, frames, 6, generator=generator) for _ in range(3))
    return Evaluation(x, t, cond, cond - spread * difference)


@pytest.mark.parametrize("kind", GUIDANCE)
def test_scale_one_is_the_conditional_velocity(kind):
    given = branches()
    out, _ = GUIDANCE[kind](1.0)(given, None)
    # angle guidance keeps a thousandth of its weight at scale 1, as the official code does
    assert (out - given.cond).abs().max() < (1e-2 if kind.startswith("adg") else 1e-5)


@pytest.mark.parametrize("kind", GUIDANCE)
def test_equal_branches_leave_nothing_to_guide(kind):
    given = branches(spread=0.0)
    out, _ = GUIDANCE[kind](7.0)(given, None)
    assert (out - given.cond).abs().max() < (1e-2 if kind.startswith("adg") else 1e-5)


@pytest.mark.parametrize("kind", GUIDANCE)
def test_a_song_does_not_depend_on_its_neighbours(kind):
    given = branches(batch=3)
    together, _ = GUIDANCE[kind](5.0)(given, None)
    for i in range(3):
        alone, _ = GUIDANCE[kind](5.0)(
            Evaluation(given.x[i : i + 1], given.t, given.cond[i : i + 1], given.uncond[i : i + 1]), None
        )
        assert (together[i : i + 1] - alone).abs().max() < 1e-5


def literal_apg(cond, uncond, scale, average):
    """Channel by channel, in plain Python."""
    d = cond - uncond
    if average is not None:
        d = d - 0.75 * average
    out = cond.clone()
    for b in range(d.shape[0]):
        for c in range(d.shape[2]):
            column, u = d[b, :, c].double(), cond[b, :, c].double()
            column = column * min(1.0, 2.5 / math.sqrt(sum(v * v for v in column.tolist())))
            u = u / max(math.sqrt(sum(v * v for v in u.tolist())), 1e-12)
            orthogonal = column - float(column @ u) * u
            out[b, :, c] = (cond[b, :, c].double() + (scale - 1) * orthogonal).float()
    return out, d


@pytest.mark.parametrize("spread", [1.0, 0.05])
def test_apg_equals_its_formula_over_three_calls_with_momentum(spread):
    guidance, average, expected_average = Apg(7.0), None, None
    for call in range(3):
        given = branches(seed=call, spread=spread)
        out, average = guidance(given, average)
        expected, expected_average = literal_apg(given.cond, given.uncond, 7.0, expected_average)
        assert (out - expected).abs().max() < 1e-5
        assert torch.allclose(average, expected_average)


def test_apg_equals_the_reference_libraries():
    guidance, average, buffer = Apg(7.0), None, MomentumBuffer(momentum=-0.75)
    for call in range(3):
        given = branches(seed=call)
        out, average = guidance(given, average)
        # their norm runs over all but the first axis, so each (song, channel) is handed over as an item of its own
        cond, uncond = (v.transpose(1, 2).reshape(-1, 40) for v in (given.cond, given.uncond))
        theirs = normalized_guidance(
            cond, uncond, 6.0, buffer, eta=0.0, norm_threshold=2.5, use_original_formulation=True
        )
        assert (out - theirs.reshape(2, 6, 40).transpose(1, 2)).abs().max() < 1e-4


def test_apg_remembers_the_difference_before_it_was_limited():
    given = branches(spread=10.0)
    _, average = Apg(7.0)(given, None)
    assert torch.equal(average, given.cond - given.uncond)


def test_apg_pushes_across_the_prediction_and_never_along_it():
    given = branches()
    out, _ = Apg(7.0)(given, None)
    push = (out - given.cond).double()
    along = (push * given.cond.double()).sum(1) / given.cond.double().norm(dim=1)
    assert along.abs().max() < 1e-4
    assert push.norm(dim=1).max() <= 2.5 * 6 + 1e-4


def test_apg_with_eta_one_keeps_the_parallel_part():
    given = branches(spread=0.05)
    out, _ = Apg(3.0, eta=1.0)(given, None)
    assert torch.allclose(out, given.cond + 2 * (given.cond - given.uncond), atol=1e-5)


def test_cfg_equals_its_formula():
    given = branches()
    out, memory = Cfg(4.0)(given, None)
    assert torch.allclose(out, given.uncond + 4 * (given.cond - given.uncond))
    assert memory is None


def literal_adg(given, scale, limit, keeps_norm):
    """Frame by frame, in plain Python."""
    x, t, cond, uncond = given
    weight = max(scale - 1, 0) + 1e-3
    out = torch.empty_like(x)
    a, b = x - t * cond, x - t * uncond
    for i in range(x.shape[0]):
        for n in range(x.shape[1]):
            p, q = a[i, n].double(), b[i, n].double()
            cosine = float(p @ q) / (float(p.norm()) * float(q.norm()))
            theta = math.acos(min(max(cosine, -1 + 1e-6), 1 - 1e-6))
            turned = weight * theta if limit is None else min(max(weight * theta, -limit), limit)
            d = a[i, n] - b[i, n]
            across = d - (d @ b[i, n]) / (b[i, n] @ b[i, n] + 1e-8) * b[i, n]
            lever = math.sin(turned) / math.sin(theta) if math.sin(theta) > 1e-3 else weight
            out[i, n] = math.cos(turned) * a[i, n] + lever * across
    if keeps_norm:
        out = out * a.norm(dim=1, keepdim=True) / out.norm(dim=1, keepdim=True)
    return (x - out) / t


@pytest.mark.parametrize(
    ("kind", "limit", "keeps_norm"),
    [("adg", 3.14 / 6, False), ("adg_w_norm", 3.14 / 3, True), ("adg_wo_clip", None, False)],
)
@pytest.mark.parametrize("scale", [1.5, 7.0])
@pytest.mark.parametrize("spread", [1.0, 0.01])
def test_adg_equals_its_formula(kind, limit, keeps_norm, scale, spread):
    given = branches(spread=spread)
    out, memory = GUIDANCE[kind](scale)(given, None)
    assert memory is None
    assert (out - literal_adg(given, scale, limit, keeps_norm)).abs().max() < 5e-5


def test_adg_with_norm_keeps_the_length_of_the_clean_estimate():
    given = branches()
    out, _ = Adg(7.0, limit=3.14 / 3, keeps_norm=True)(given, None)
    before, after = (given.x - given.t * v for v in (given.cond, out))
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), rtol=1e-4)


def test_the_corrector_of_heun_uses_plain_guidance_for_apg_and_angles_only_above_zero():
    assert Apg(7.0).corrector(0.5) == Cfg(7.0)
    assert Cfg(7.0).corrector(0.0) == Cfg(7.0)
    assert Adg(7.0).corrector(0.5) == Adg(7.0)
    assert Adg(7.0).corrector(0.0) == Cfg(7.0)


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float64), ("meta", torch.float32)])
def test_devices_that_may_lack_float64_are_not_asked_for_it(device, dtype):
    assert wide(torch.empty(1, device=device)).dtype == dtype
