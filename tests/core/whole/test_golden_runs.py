"""Whole runs against recorded ones: those of the diffusers pipeline, and those of the official loop where they differ."""

import json

import pytest
import torch

from acestep_core.sampling.context import Context, fitted
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan, NoiseStream
from acestep_core.sampling.repaint import RepaintStrength
from acestep_core.sampling.run import SamplerParts, generate
from acestep_core.sampling.schedule import shifted
from acestep_core.sampling.settings import Settings
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS
from support.reference.golden import (
    GOLDEN,
    golden_case,
    golden_codec,
    golden_condition_encoder,
    golden_silence,
    golden_transformer,
)
from support.reference.oracle import furthest

RUN = 5e-4
MODULE = 5e-5
META = json.loads((GOLDEN / "golden.json").read_text())
TURBO, BASE = list(META["turbo"]), list(META["base"])
FREE = RepaintStrength(1.0)  # the recorded pipelines neither inject nor blend


class RecordedNoise(NoisePlan):
    """A plan that hands out the recorded noise."""

    def __init__(self, initial, fresh=()):
        super().__init__(tuple(range(len(initial))))
        object.__setattr__(self, "recorded", (initial, list(fresh)))

    def start(self, frames, channels):
        stream = NoiseStream(self, frames, channels)
        stream.initial, fresh = self.recorded
        stream.fresh = lambda: fresh.pop(0)
        return stream


def parts() -> SamplerParts:
    return SamplerParts(golden_transformer(), Silence(golden_silence()))


def condition(enc, task: str) -> Condition:
    return Condition(enc, TASKS[task], Brief("", ""))


def case(variant: str, name: str) -> tuple[dict, dict]:
    return META[variant][name], golden_case(variant, name)


def task_of(meta: dict) -> str:
    return meta.get("task_type", "text2music")


def raw_source(meta: dict, data: dict):
    """The source as it lies on the wire: encoded audio, hints, or silence; never with a hole."""
    frames = data["noise"].shape[1]
    if "audio_codes" in meta:
        codes = [
            int(code)
            for code in meta["audio_codes"]
            .replace("|><|", " ")
            .strip("<|>")
            .replace("audio_code_", "")
            .split()
        ]
        return fitted(
            golden_codec().hints(torch.tensor([codes]), torch.float32), frames, Silence(golden_silence())
        )
    if task_of(meta) == "cover":
        return golden_codec().hints(
            golden_codec().encode(data["vae_src_sample"].transpose(1, 2), golden_silence()), torch.float32
        )[:, :frames]
    if "vae_src_sample" in data:
        return data["vae_src_sample"].transpose(1, 2)
    return golden_silence()[:, :frames]


def mask_of(meta: dict, data: dict):
    return data["context"][:1, :, -1] if "repainting_start" in meta else None


def settings_of(meta: dict, **more) -> Settings:
    return Settings(
        steps=meta["num_inference_steps"],
        shift=meta["shift"],
        guidance=meta["guidance_scale"],
        times=tuple(meta["timesteps"]) if "timesteps" in meta else None,
        repaint=FREE,
        **more,
    )


def pipeline_cases(variant: str, names: list[str]) -> list:
    not_official = {
        "cover_half",
        "t2m_apg_interval",
    }  # diffusers departs from the official code; see the loops below
    return [pytest.param(variant, name, id=f"{variant}-{name}") for name in names if name not in not_official]


@pytest.mark.parametrize(("variant", "name"), pipeline_cases("turbo", TURBO) + pipeline_cases("base", BASE))
def test_a_run_equals_the_pipelines(variant, name):
    meta, data = case(variant, name)
    base_only = TASKS[task_of(meta)].base_only
    turbo = variant == "turbo" and not base_only  # the recordings run every task on every checkpoint
    songs = len(data["noise"])
    lengths = data["enc_mask"].sum(1)
    full = [
        i for i in range(songs) if lengths[i] == data["enc"].shape[1]
    ]  # the others attended to padding there
    source = raw_source(meta, data).expand(songs, -1, -1)

    for i in full:
        job = Job(
            [condition(data["enc"][i], task_of(meta))],
            source[i : i + 1],
            RecordedNoise(data["noise"][i : i + 1]),
            mask_of(meta, data),
        )
        out = generate(parts(), job, settings_of(meta).resolved(turbo))
        assert furthest(out, data["latents"][i : i + 1]) < RUN
    assert full


@pytest.mark.parametrize(("variant", "name"), pipeline_cases("turbo", TURBO) + pipeline_cases("base", BASE))
def test_the_network_is_shown_what_the_pipeline_shows(variant, name):
    meta, data = case(variant, name)
    songs = len(data["noise"])
    mask = mask_of(meta, data)
    silenced = [TASKS[task_of(meta)].silences_span] * songs
    source = raw_source(meta, data).expand(songs, -1, -1)

    rows = Context.of(
        source, None if mask is None else mask.expand(songs, -1), silenced, Silence(golden_silence())
    ).rows()

    assert furthest(rows, data["context"][:songs]) < MODULE


@pytest.mark.parametrize(("variant", "name"), pipeline_cases("turbo", TURBO) + pipeline_cases("base", BASE))
def test_the_condition_sequence_equals_the_pipelines(variant, name):
    _, data = case(variant, name)
    for i in range(len(data["text_ids"])):
        text = data["text_hidden"][i : i + 1, : data["text_mask"][i].sum()]
        lyrics = data["lyric_hidden"][i : i + 1, : data["lyric_mask"][i].sum()]
        enc = golden_condition_encoder()(text, lyrics, data["refer_latents"][data["refer_order"] == i])
        assert furthest(enc[0], data["enc"][i][data["enc_mask"][i].bool()]) < MODULE


@pytest.mark.parametrize("name", TURBO)
def test_the_times_equal_the_pipelines(name):
    meta, data = case("turbo", name)
    settings = settings_of(meta).resolved(turbo=True)
    assert torch.allclose(torch.tensor(settings.times[:-1]), data["t"], atol=1e-6)


def official(name: str) -> dict:
    return golden_case("official", name)


def run_official(data: dict, turbo: bool, task: str, settings: Settings, **more):
    steps = []
    job = Job(
        [condition(data["enc"][0], task)],
        more.pop("source", data["context"][..., :8]),
        RecordedNoise(data["noise"], data.get("sde_noise", ())),
        **more,
    )
    out = generate(parts(), job, settings.resolved(turbo), lambda progress: steps.append(progress.clean))
    assert furthest(out, data["latents"]) < RUN
    assert len(steps) == len(data["x_steps"])


@pytest.mark.parametrize(
    ("name", "turbo", "strength"),
    [
        ("turbo_cover_switch_0.5", True, 0.5),
        ("turbo_cover_switch_0.3", True, 0.3),
        ("base_cover_switch_0.5", False, 0.5),
    ],
)
def test_a_weak_cover_hands_over_to_text2music_at_a_step(name, turbo, strength):
    data = official(name)
    settings = Settings(
        steps=0 if turbo else 6,
        shift=3.0 if turbo else 1.0,
        guidance=0 if turbo else 7.0,
        cover_strength=strength,
    )
    run_official(data, turbo, "cover", settings, second=[condition(data["nc_enc"][0], "text2music")])


@pytest.mark.parametrize("interval", [(0.0, 0.6), (0.4, 1.0)])
def test_guidance_acts_where_t_itself_lies_in_the_interval(interval):
    data = official(f"base_cfg_interval_{interval[0]}_{interval[1]}")
    run_official(data, False, "text2music", Settings(steps=6, shift=1.0, guidance=7.0, interval=interval))


def test_the_stochastic_solver_goes_back_up_to_the_next_time_of_the_schedule():
    run_official(official("turbo_sde"), True, "text2music", Settings(solver="sde"))


def test_noise_strength_starts_from_the_encoded_audio_at_the_nearest_time():
    data = official("turbo_cover_noise_0.4")
    run_official(
        data, True, "cover", Settings(noise_strength=0.4), start_from=data["vae_src_sample"].transpose(1, 2)
    )


def test_a_context_built_by_hand_is_played_as_it_is():
    data = official("turbo_lego_silenced")
    job_mask = data["context"][..., -1]
    source = data["context"][..., :8]  # silence already inside the region
    steps = Settings(repaint=FREE)
    run_official(data, True, "text2music", steps, source=source, mask=job_mask)


def test_the_interval_of_the_pipeline_is_ours_mirrored():
    meta, data = case("base", "t2m_apg_interval")
    start, end = meta["cfg_interval_start"], meta["cfg_interval_end"]
    mirrored = settings_of(meta, interval=(1 - end, 1 - start))
    job = Job(
        [condition(data["enc"][0], "text2music")], golden_silence()[:, :30], RecordedNoise(data["noise"])
    )
    assert furthest(generate(parts(), job, mirrored.resolved(turbo=False)), data["latents"]) < RUN


def test_the_recorded_schedules_are_the_formulas():
    assert shifted(8, 3.0)[:-1] == pytest.approx([1, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3])
