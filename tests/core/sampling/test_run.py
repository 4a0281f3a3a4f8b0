"""Laws of whole runs, on a small network with random weights."""

from dataclasses import replace

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.interface import ignore
from acestep_core.sampling.context import at_least, extended
from acestep_core.sampling.dcw import WaveletCorrection
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.repaint import RepaintStrength, blend
from acestep_core.sampling.run import SamplerParts, generate, generate_song
from acestep_core.sampling.settings import SOLVERS, Settings
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS
from acestep_core.timebase import FrameSpan
from support.reference.oracle import furthest, transformers_of

RUN = 5e-4
SILENCE = Silence(torch.randn(1, 400, 8, generator=torch.Generator().manual_seed(3)))
QUICK = Settings(steps=4)


def parts() -> SamplerParts:
    return SamplerParts(transformers_of("2B-like")[1], SILENCE)


def sampled(job: Job, settings: Settings, turbo: bool = True, on_step=ignore):
    return generate(parts(), job, settings.resolved(turbo), on_step)


def condition(task: str = "text2music", seed: int = 0, tokens: int = 9) -> Condition:
    enc = torch.randn(tokens, 48, generator=torch.Generator().manual_seed(seed))
    return Condition(enc, TASKS[task], Brief("", ""))


def source(frames: int = 40, songs: int = 1):
    return torch.randn(songs, frames, 8, generator=torch.Generator().manual_seed(frames))


def job(task: str = "text2music", songs: int = 1, frames: int = 40, **more) -> Job:
    return Job([condition(task)], source(frames, songs), NoisePlan.counting(11, songs), **more)


def span(start: int = 10, stop: int = 25, frames: int = 40):
    return FrameSpan(start, stop).mask(frames)[None]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_job_gives_the_same_bits(solver):
    settings = replace(QUICK, solver=solver)
    assert torch.equal(sampled(job(), settings), sampled(job(), settings))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("turbo", [True, False])
def test_a_song_alone_is_the_song_in_a_batch_of_unequal_conditions(solver, turbo):
    settings = replace(QUICK, solver=solver)
    conditions = [condition(seed=i, tokens=5 + 7 * i) for i in range(3)]
    together = sampled(replace(job(songs=3), conditions=conditions), settings, turbo)
    for i in range(3):
        alone = Job([conditions[i]], source(songs=3)[i : i + 1], NoisePlan((11 + i,)))
        assert furthest(together[i : i + 1], sampled(alone, settings, turbo)) < RUN


def test_different_tasks_share_a_batch():
    conditions = [condition("repaint"), condition("lego")]
    mixed = replace(job(songs=2, mask=span()), conditions=conditions)
    together = sampled(mixed, QUICK, turbo=False)
    for i in range(2):
        alone = Job([conditions[i]], source(songs=2)[i : i + 1], NoisePlan((11 + i,)), mask=span())
        assert furthest(together[i : i + 1], sampled(alone, QUICK, turbo=False)) < RUN


@pytest.mark.parametrize("turbo", [True, False])
def test_a_conservative_repaint_leaves_everything_beyond_the_seam_bit_equal(turbo):
    settings = replace(QUICK, repaint=RepaintStrength(0.0))
    out = sampled(job("repaint", frames=120, mask=span(50, 60, 120)), settings, turbo)
    assert torch.equal(out[:, :25], source(120)[:, :25])
    assert torch.equal(out[:, 85:], source(120)[:, 85:])
    assert (out[:, 50:60] - source(120)[:, 50:60]).abs().mean() > 0.1


def test_a_balanced_repaint_equals_its_loop_written_out():
    from support.reference.oracle import evaluate

    transformer, mask, raw = parts().transformer, span(), source()
    enc, times = condition("repaint").enc[None], QUICK.resolved(turbo=True).times
    inside = mask.bool()[..., None]
    seen = torch.where(inside, SILENCE.frames(40), raw)
    context = torch.cat((seen, mask[..., None].expand_as(raw)), -1)
    noise = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(11))
    x = noise
    for i in range(4):
        x = x - evaluate(transformer, x, context, enc, times[i]) * (times[i] - times[i + 1])
        if i < round(0.5 * 4):
            x = torch.where(inside, x, times[i + 1] * noise + (1 - times[i + 1]) * raw)
    soft = mask.clone()
    rise = torch.linspace(0, 1, 14)[1:-1]
    for k in range(12):
        if 10 - 12 + k >= 0:
            soft[0, 10 - 12 + k] = rise[k]
        if 25 + k < 40:
            soft[0, 25 + k] = rise[11 - k]
    expected = soft[..., None] * x + (1 - soft[..., None]) * raw
    assert furthest(sampled(job("repaint", mask=mask), QUICK), expected) < RUN


def test_an_aggressive_repaint_only_differs_by_its_context():
    settings = replace(QUICK, repaint=RepaintStrength(1.0))
    free = sampled(job("repaint", mask=span()), settings)
    hole = torch.where(span().bool()[..., None], SILENCE.frames(40), source())
    by_hand = sampled(replace(job("text2music", mask=span()), source=hole), settings)
    assert torch.equal(free, by_hand)


def test_an_aggressive_repaint_blends_by_the_soft_values_of_its_mask():
    settings = replace(QUICK, repaint=RepaintStrength(1.0))
    soft = span()
    soft[:, (8, 9, 25)] = torch.tensor([0.2, 0.4, 0.3])
    hard = sampled(job("repaint", mask=span()), settings)
    out = sampled(job("repaint", mask=soft), settings)
    assert torch.equal(out, blend(hard, source(), soft, 0))


def test_an_extension_keeps_the_song_and_adds_music():
    longer, mask = extended(source(60), 30, 20, SILENCE)
    settings = replace(QUICK, repaint=RepaintStrength(0.0))
    out = sampled(Job([condition("extend")], longer, NoisePlan((1,)), mask), settings)
    assert out.shape[1] == 110
    assert torch.equal(out[:, 55:65], source(60)[:, 25:35])
    assert (out[:, :30] - SILENCE.frames(30)).abs().mean() > 0.1


def test_cover_strength_one_is_the_cover_and_zero_is_text2music():
    covering = replace(job("cover"), second=[condition("text2music", seed=5)])
    whole = sampled(covering, replace(QUICK, cover_strength=1.0))
    none = sampled(covering, replace(QUICK, cover_strength=0.0))
    assert torch.equal(whole, sampled(job("cover"), QUICK))
    plain = Job([condition("text2music", seed=5)], SILENCE.frames(40), NoisePlan((11,)))
    assert torch.equal(none, sampled(plain, QUICK))


def test_a_weak_cover_keeps_its_mask_after_the_switch():
    covering = replace(job("lego", mask=span()), second=[condition("text2music", seed=5)])
    out = sampled(covering, replace(QUICK, cover_strength=0.0), turbo=False)
    plain = Job([condition("text2music", seed=5)], SILENCE.frames(40), NoisePlan((11,)), mask=span())
    assert torch.equal(out, sampled(plain, QUICK, turbo=False))


def test_full_noise_strength_stays_nearest_to_what_it_started_from():
    start = 3 * source(40)
    distances = [
        (sampled(job(start_from=start), replace(QUICK, noise_strength=s)) - start).norm() for s in (0.0, 0.9)
    ]
    assert distances[1] < distances[0]


def test_without_a_start_the_noise_strength_begins_from_what_the_network_sees():
    settings = replace(QUICK, noise_strength=0.5)
    given = sampled(job("cover", start_from=source()), settings)
    assert torch.equal(sampled(job("cover"), settings), given)


def test_a_repaint_with_noise_strength_begins_from_silence_inside_its_span():
    settings, mask = replace(QUICK, noise_strength=0.5), span()
    silenced = torch.where(mask.bool()[..., None], SILENCE.frames(40), source())
    given = sampled(job("repaint", mask=mask, start_from=silenced), settings)
    assert torch.equal(sampled(job("repaint", mask=mask), settings), given)


def test_times_below_one_begin_from_the_given_music():
    plan = Settings(times=(0.5, 0.2))
    begun = sampled(job(start_from=source()), plan)
    strength = sampled(job(start_from=source()), Settings(times=(1.0, 0.5, 0.2), noise_strength=0.5))
    assert torch.equal(begun, strength)


def test_the_wavelet_correction_pulls_every_state():
    plain = sampled(job(), QUICK)
    corrected = sampled(job(), replace(QUICK, wavelet=WaveletCorrection()))
    assert not torch.equal(plain, corrected)
    assert torch.isfinite(corrected).all()


def test_the_wavelet_correction_equals_its_loop_and_comes_before_the_injection():
    from support.reference.oracle import evaluate

    transformer, mask, raw, wavelet = parts().transformer, span(), source(), WaveletCorrection("double", 0.3)
    settings = replace(QUICK, wavelet=wavelet, repaint=RepaintStrength(0.2))
    enc, times = condition("repaint").enc[None], settings.resolved(turbo=False).times
    inside = mask.bool()[..., None]
    seen = torch.where(inside, SILENCE.frames(40), raw)
    context = torch.cat((seen, mask[..., None].expand_as(raw)), -1)
    x = noise = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(11))
    for i in range(4):
        velocity = evaluate(transformer, x, context, enc, times[i])
        moved, clean = x - velocity * (times[i] - times[i + 1]), x - velocity * times[i]
        x = wavelet(moved, clean, times[i])
        if i < round(0.8 * 4):
            x = torch.where(inside, x, times[i + 1] * noise + (1 - times[i + 1]) * raw)
    unguided = replace(settings, guidance=1.0)
    out = sampled(job("repaint", mask=mask), unguided, turbo=False)
    assert furthest(out[:, 10:25], x[:, 10:25]) < RUN


@pytest.mark.parametrize("frames", [1, 30, 127, 128, 140])
def test_a_short_song_is_sampled_on_the_shortest_canvas_and_cut_back(frames):
    out = generate_song(parts(), job(frames=frames), QUICK.resolved(turbo=True))
    assert out.shape == (1, frames, 8)
    if frames < 128:
        canvas = torch.cat((source(frames), SILENCE.frames(128 - frames)), 1)
        by_hand = sampled(Job([condition()], canvas, NoisePlan((11,))), QUICK)
        assert torch.equal(out, by_hand[:, :frames])


def test_what_is_added_to_a_short_repaint_is_generated_and_cut():
    settings = replace(QUICK, repaint=RepaintStrength(0.0))
    out = generate_song(parts(), job("repaint", mask=span()), settings.resolved(turbo=True))
    assert out.shape == (1, 40, 8)
    assert torch.isfinite(out).all()


def test_a_short_repaint_is_one_of_the_longer_song_with_silence_to_generate_behind():
    short = job("repaint", mask=span())
    mask = torch.cat((span(), torch.ones(1, 88)), 1)
    longer = replace(short, source=at_least(128, short.source, SILENCE), mask=mask)
    assert torch.equal(
        generate_song(parts(), short, QUICK.resolved(turbo=True)), sampled(longer, QUICK)[:, : short.frames]
    )


def test_a_listener_hears_every_step_and_can_stop_the_run():
    heard = []
    sampled(job(songs=2), QUICK, on_step=heard.append)
    assert [p.done for p in heard] == [1, 2, 3, 4]
    assert heard[-1].clean.shape == (2, 40, 8)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampled(job(), QUICK, on_step=stop)


def test_nothing_that_came_in_is_changed():
    given = job("repaint", mask=span(), start_from=source(), second=[condition()])
    before = [
        tensor.clone() for tensor in (given.source, given.mask, given.start_from, given.conditions[0].enc)
    ]
    sampled(given, replace(QUICK, noise_strength=0.3, cover_strength=0.5))
    after = (given.source, given.mask, given.start_from, given.conditions[0].enc)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_job_that_cannot_be_played_is_refused_before_any_work():
    with pytest.raises(InvalidInputError, match="task repaint has no mask"):
        sampled(job("repaint"), QUICK, on_step=pytest.fail)
