import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acestep_core.errors import InvalidAudioError
from acestep_core.sound.resample import KAISER_BETA, PASS_BAND, STOP_BAND, ZERO_CROSSINGS, resample

RATES = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 192_000, 44_101]
PAIRS = [(rate, 48_000) for rate in RATES] + [(48_000, rate) for rate in RATES]
MINUS_100_DB = 1e-5
HUNDREDTH_DB = 10 ** (0.01 / 20) - 1
both_ways = pytest.mark.parametrize(("source", "target"), PAIRS)


def tones(parts: list[float], source: int, target: int, rate: int, seconds: float) -> torch.Tensor:
    """[tones, S] sines at these parts of the lower Nyquist frequency, sampled at `rate`."""
    frequencies = torch.tensor(parts, dtype=torch.float64) * min(source, target) / 2
    moments = torch.arange(math.ceil(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * frequencies[:, None] * moments + 0.3)


def settled(samples: torch.Tensor, source: int, target: int, rate: int) -> torch.Tensor:
    """The middle, which no end of the sound reaches."""
    margin = math.ceil((ZERO_CROSSINGS + 2) * rate / min(source, target))
    return samples[..., margin : samples.shape[-1] - margin]


def seconds_for(source: int, target: int) -> float:
    return 4 * ZERO_CROSSINGS / min(source, target)


@both_ways
def test_tones_of_the_pass_band_arrive_as_sampled_at_the_new_rate(source, target):
    parts = [0.002, 0.1, 0.333, 0.5, 0.77, 0.85, 0.9, PASS_BAND]
    seconds = seconds_for(source, target)

    got = resample(tones(parts, source, target, source, seconds), source, target)
    ideal = tones(parts, source, target, target, seconds)
    got, ideal = (settled(x[:, : ideal.shape[-1] - 2], source, target, target) for x in (got, ideal))

    assert got.shape[-1] > 100
    assert (got - ideal).abs().max() < MINUS_100_DB  # ripple, delay, aliases and images in one


@pytest.mark.parametrize(("source", "target"), [(a, b) for a, b in PAIRS if a > b])
def test_tones_above_the_new_nyquist_frequency_are_100_db_down(source, target):
    highest = source / target
    parts = [
        part for part in (STOP_BAND, 1.0005, 1.01, 1.05, 1.2, 1.5, 1.9, 2.0, 2.7, 3.9) if part <= highest
    ]
    parts += [highest * 0.999] if highest * 0.999 > 1 else []

    got = resample(tones(parts, source, target, source, seconds_for(source, target)), source, target)

    assert settled(got, source, target, target).abs().max() < MINUS_100_DB


@pytest.mark.parametrize(
    ("source", "target"), [(a, b) for a, b in PAIRS if a < b and b / a > 1.001 and a not in (11_025, 44_101)]
)
def test_every_image_of_a_click_is_100_db_down(source, target):
    click = torch.zeros(1, 2 * ZERO_CROSSINGS + 1, dtype=torch.float64)
    click[0, ZERO_CROSSINGS] = 1
    common = math.gcd(source, target)
    up, down = target // common, source // common

    # Clicks at neighbouring moments see the filter's phases in turn; together they are its whole response.
    whole = torch.zeros(2**19, dtype=torch.float64)
    for late in range(up):
        answer = resample(torch.nn.functional.pad(click, (late, up - late)), source, target)[0]
        moments = torch.arange(len(answer)) * down - late * up
        inside = moments >= 0
        whole[moments[inside]] = answer[inside]
    response = torch.fft.rfft(whole).abs() / up
    nyquist = len(whole) / (2 * up)

    assert response[math.ceil(nyquist * STOP_BAND) :].max() < MINUS_100_DB
    assert (response[: int(nyquist * PASS_BAND)] - 1).abs().max() < HUNDREDTH_DB


@pytest.mark.parametrize(
    ("source", "target"), [(44_100, 48_000), (48_000, 44_100), (96_000, 48_000), (44_101, 48_000)]
)
def test_an_output_is_the_windowed_sinc_sum_of_its_definition(source, target):
    sound = torch.randn(700, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = resample(sound, source, target)

    for n in (0, 1, 50, 63, 64, 65, 159, 160, 161, len(got) // 2, len(got) - 1):
        inputs = torch.arange(-2_000, 3_000, dtype=torch.float64)
        apart = (inputs - n * source / target) * min(1, target / source)
        near = apart.abs() <= ZERO_CROSSINGS
        edge = (1 - (apart[near] / ZERO_CROSSINGS) ** 2).sqrt()
        weights = torch.special.sinc(0.955 * apart[near]) * torch.special.i0(KAISER_BETA * edge)
        weights = weights / weights.sum()
        exists = (inputs[near] >= 0) & (inputs[near] < len(sound))
        ideal = (weights[exists] * sound[inputs[near][exists].long()]).sum()
        assert got[n] == pytest.approx(float(ideal), abs=1e-9)


@given(st.integers(0, 3_000), st.sampled_from(RATES), st.sampled_from([*RATES, 48_000]))
@settings(max_examples=60, deadline=None)
def test_the_length_is_the_exact_ratio_rounded_up(samples, source, target):
    assert resample(torch.zeros(1, samples), source, target).shape == (1, -(-samples * target // source))


@both_ways
def test_a_constant_stays_that_constant(source, target):
    got = resample(torch.full((1, math.ceil(seconds_for(source, target) * source)), 0.7), source, target)

    assert (settled(got, source, target, target) - 0.7).abs().max() < 1e-6


@pytest.mark.parametrize(("source", "target"), [(24_000, 48_000), (48_000, 24_000), (32_000, 48_000)])
def test_a_click_stays_at_its_moment_and_symmetric(source, target):
    click = torch.zeros(2_401, dtype=torch.float64)
    click[1_200] = 1
    got = resample(click, source, target)
    middle = 1_200 * target // source

    assert got.argmax() == middle
    assert torch.allclose(got[middle - 300 : middle], got[middle + 1 : middle + 301].flip(0), atol=1e-12)


def test_sound_that_comes_later_leaves_later():
    sound = torch.randn(3_000, generator=torch.Generator().manual_seed(1))
    later = torch.cat((torch.zeros(147), sound))

    assert torch.allclose(resample(later, 44_100, 48_000)[160:], resample(sound, 44_100, 48_000), atol=1e-5)


@pytest.mark.parametrize("rate", [44_100, 44_101, 96_000])
def test_there_and_back_again_changes_nothing_below_the_pass_band(rate):
    sound = tones([0.11, 0.45, 0.9], rate, 48_000, rate, 0.05).sum(0) / 3
    back = resample(resample(sound, rate, 48_000), 48_000, rate)[: len(sound)]

    assert (back - sound)[800:-800].abs().max() < 2 * MINUS_100_DB


@pytest.mark.parametrize("seed", range(3))
def test_whole_music_in_single_precision_is_as_good_as_in_double(seed):
    sound = torch.randn(2, 10_000, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    assert torch.allclose(
        resample(sound.float(), 44_100, 48_000).double(), resample(sound, 44_100, 48_000), atol=5e-6
    )


def test_a_channel_alone_is_the_channel_among_others():
    sound = torch.randn(3, 2, 1_000, generator=torch.Generator().manual_seed(2))
    got = resample(sound, 44_100, 48_000)

    assert got.shape == (3, 2, 1_089)
    assert torch.allclose(got[1, 1], resample(sound[1, 1], 44_100, 48_000), atol=1e-6)


def test_equal_rates_give_back_the_very_same_tensor():
    sound = torch.randn(2, 100)

    assert resample(sound, 44_100, 44_100) is sound


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays_and_the_input_is_not_written_to(dtype):
    sound = torch.randn(2, 500).to(dtype)
    before = sound.clone()

    assert resample(sound, 44_100, 48_000).dtype == dtype
    assert torch.equal(sound, before)


def test_no_samples_stay_no_samples_and_one_sample_is_enough():
    assert resample(torch.zeros(2, 0), 44_100, 48_000).shape == (2, 0)
    assert resample(torch.ones(1, 1), 8_000, 48_000)[0, 0] == pytest.approx(0.955, abs=0.02)


@pytest.mark.parametrize("rate", [-1, 0, 999, 1_000_001])
@pytest.mark.parametrize("turned", [False, True])
def test_an_impossible_rate_is_refused_by_its_number(rate, turned):
    rates = (48_000, rate) if turned else (rate, 48_000)
    with pytest.raises(InvalidAudioError, match=f"of {rate} Hz"):
        resample(torch.zeros(1, 10), *rates)
