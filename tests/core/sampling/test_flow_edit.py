"""Flow edit against recorded runs of the official code, and the laws that hold for any network."""

import json

import pytest
import torch

from acestep_core.sampling.edit_job import WINDOWS, EditJob, EditPlan, EditWindow
from acestep_core.sampling.flow_edit import HandOver, MorphField, draws_of, edit, edit_song, morph
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.run import SamplerParts, generate
from acestep_core.sampling.settings import Settings
from acestep_core.sampling.solvers import SolverState, Step
from acestep_core.sampling.velocity import Filters, NetworkField, Stage
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS
from support.reference.golden import GOLDEN, golden_silence, golden_transformer, tools_case
from support.reference.oracle import furthest

RUNS = json.loads((GOLDEN / "tools" / "runs.json").read_text())
FLOWS = [name for name in RUNS if name.startswith("flow_")]
FRAMES, CHANNELS = 24, 8
WHOLE = EditWindow()


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plan_of(meta: dict) -> EditPlan:
    settings = Settings(
        steps=meta.get("infer_steps", 0),
        shift=meta.get("shift", 0.0),
        guidance=meta["diffusion_guidance_scale"],
        interval=(meta.get("cfg_interval_start", 0.0), meta.get("cfg_interval_end", 1.0)),
        times=None if meta["timesteps"] is None else tuple(meta["timesteps"]),
        filters=Filters(meta.get("velocity_norm_threshold", 0.0), meta.get("velocity_ema_factor", 0.0)),
    )
    window = EditWindow(meta.get("n_min", 0.0), meta.get("n_max", 1.0), meta.get("n_avg", 1))
    return EditPlan.of(settings, window, turbo=meta["timesteps"] is not None)


@pytest.mark.parametrize("name", FLOWS)
def test_an_edit_equals_the_official_one(name):
    meta, data = RUNS[name], tools_case(name)
    plan = plan_of(meta)

    def field(enc):
        filters = Filters(plan.whole.asked.filters.norm_threshold)
        stage = Stage(0, list(enc), data["source_context"])
        return NetworkField(golden_transformer(), [stage], plan.times, plan.whole.guided, filters)

    drawn = []
    draw = draws_of(NoisePlan(tuple(meta["seeds"])), data["source"])

    def counted():
        drawn.append(draw())
        return drawn[-1]

    with torch.no_grad():
        out = morph(field(data["source_enc"]), field(data["target_enc"]), data["source"], plan, counted)
    assert furthest(out, data["latents"]) < (2e-4 if name == "flow_base_apg" else 1e-4)
    assert len(drawn) == meta["draws"]
    if "noise" in data:
        assert furthest(torch.stack(drawn), data["noise"]) == 0


def parts() -> SamplerParts:
    return SamplerParts(golden_transformer(), Silence(golden_silence()))


def edited(job: EditJob, window: EditWindow = WHOLE, turbo: bool = True, **asked):
    return edit(parts(), job, EditPlan.of(Settings(**asked), window, turbo))


def told(seed: int, task: str = "text2music", tokens: int = 9) -> Condition:
    return Condition(seeded(tokens, 48, seed=seed), TASKS[task], Brief("", ""))


def job_of(songs: int = 1, **more) -> EditJob:
    defaults = {
        "original": seeded(songs, FRAMES, CHANNELS, seed=7),
        "source": [told(1)],
        "target": [told(2, tokens=12)],
        "noise": NoisePlan(tuple(range(5, 5 + songs))),
    }
    return EditJob(**{**defaults, **more})


@pytest.mark.parametrize("turbo", [True, False])
def test_equal_conditions_over_the_whole_window_give_the_song_back(turbo):
    job = job_of(target=[told(1)])
    assert furthest(edited(job, turbo=turbo, steps=6), job.original) < 1e-5


def test_an_edit_that_begins_at_its_end_does_nothing():
    job = job_of()
    assert torch.equal(edited(job, EditWindow(1.0, 1.0)), job.original)


@pytest.mark.parametrize("turbo", [True, False])
def test_an_edit_that_ends_at_its_beginning_is_a_new_song_under_the_target(turbo):
    job = job_of()
    silence = Silence(golden_silence()).frames(FRAMES)
    new = generate(parts(), Job(job.target, silence, job.noise), Settings(steps=5).resolved(turbo))
    apart = furthest(edited(job, EditWindow(0.0, 0.0), turbo, steps=5), new)
    assert (
        apart < 1e-5 * new.abs().max()
    )  # guidance makes more of the last digits, which differ among processors


@pytest.mark.parametrize("window", [*WINDOWS.values(), EditWindow(0.25, 0.75, 3)])
def test_a_song_in_a_batch_is_the_song_alone(window):
    conditions = {
        "source": [told(1), told(3, tokens=15), told(1)],
        "target": [told(2), told(4), told(6, tokens=20)],
    }
    together = edited(job_of(3, **conditions), window)
    for song in range(3):
        alone = job_of(
            original=job_of(3).original[song : song + 1],
            noise=NoisePlan((5 + song,)),
            **{side: [items[song]] for side, items in conditions.items()},
        )
        assert furthest(together[song : song + 1], edited(alone, window)) < 1e-4


class Counted:
    """A network that notes how often it is asked, and for how many rows."""

    def __init__(self, network):
        self.network, self.rows = network, []

    def __getattr__(self, name):
        return getattr(self.network, name)

    def __call__(self, x, **more):
        self.rows.append(len(x))
        return self.network(x, **more)


@pytest.mark.parametrize(
    ("window", "evaluations"),
    [(WHOLE, 16), (EditWindow(0.25, 0.5, 3), 2 * 3 * 2 + 4), (EditWindow(0, 0), 8), (EditWindow(1, 1), 0)],
)
def test_the_network_is_asked_as_often_as_the_plan_says(window, evaluations):
    network = Counted(golden_transformer())
    steps = []
    plan = EditPlan.of(Settings(), window, turbo=True)
    edit(SamplerParts(network, Silence(golden_silence())), job_of(), plan, steps.append)
    assert len(network.rows) == plan.evaluations == evaluations
    assert len(steps) == plan.steps


class Remembering:
    """A field whose velocity is what it was told, and whose memory counts its own calls."""

    def __init__(self, name: float):
        self.name, self.seen = name, []

    def predict(self, x, step, state):
        self.seen.append(state.average)
        before = 0 if state.average is None else state.average
        return torch.full_like(x, self.name), SolverState(torch.full_like(x, self.name) + before, None)


def test_each_side_keeps_a_memory_of_its_own_and_the_tail_goes_on_with_the_targets():
    source, target, x = Remembering(1.0), Remembering(10.0), torch.zeros(1, 2, 1)
    field = MorphField(source, target, x, lambda: torch.ones_like(x), paired=2, draws=2, ema=0.5)
    state = SolverState()
    velocities = []
    for number in range(3):
        velocity, state = field.predict(x, Step(number, 3, 1 - number / 3, 1 - (number + 1) / 3), state)
        velocities.append(velocity[0, 0, 0].item())

    def heard(side):
        return [None if average is None else average[0, 0, 0].item() for average in side.seen]

    assert heard(source) == [None, None, 1, 1]
    assert heard(target) == [None, None, 10, 10, 20]
    assert velocities == [9, 9, 10]
    assert state.average[0, 0, 0] == 30


def test_sides_exchanged_give_the_opposite_way():
    job = job_of()
    there = edited(job, steps=1) - job.original
    swapped = job_of(source=job.target, target=job.source)
    back = edited(swapped, steps=1) - job.original
    assert furthest(there, -back) < 1e-5
    assert there.abs().max() > 1e-2


@pytest.mark.parametrize("window", [*WINDOWS.values(), EditWindow(0, 0)])
def test_outside_the_mask_the_song_stays_exactly(window):
    mask = torch.zeros(1, FRAMES)
    mask[:, 8:16] = 1
    job = job_of(mask=mask)
    out = edited(job, window)
    assert torch.equal(out[:, mask[0] == 0], job.original[:, mask[0] == 0])
    assert (out - job.original)[:, 8:16].abs().amax() > 1e-2


def test_with_noise_added_the_kept_part_is_as_noisy_as_the_rest():
    original, noise = seeded(1, 4, 2, seed=1), seeded(1, 4, 2, seed=2)
    outside = torch.tensor([True, False, False, True])[None, :, None]
    hand_over = HandOver(original, outside, 0, lambda: noise)
    assert furthest(hand_over.start(0.75), 0.75 * noise + 0.25 * original) < 1e-6


def test_the_songs_own_tasks_decide_what_both_sides_see():
    hints = seeded(1, FRAMES, CHANNELS, seed=9)
    outs = [
        edited(
            job_of(source=[told(1, task)], target=[told(2, task)], hints=hints if task == "cover" else None)
        )
        for task in ("text2music", "cover", "cover_nofsq")
    ]
    assert all(furthest(outs[one], outs[other]) > 1e-3 for one, other in ((0, 1), (0, 2), (1, 2)))


def test_tasks_that_need_no_hints_leave_them_unread():
    hints = seeded(1, FRAMES, CHANNELS, seed=9)
    assert torch.equal(edited(job_of(hints=hints)), edited(job_of()))


def test_the_velocity_is_smoothed_once_and_after_the_mean_of_the_draws():
    job, window = job_of(), EditWindow(0.0, 0.5, 2)
    plan = EditPlan.of(Settings(filters=Filters(ema=0.5)), window, turbo=True)
    silence = Silence(golden_silence()).frames(FRAMES)
    rows = torch.cat((silence, torch.ones_like(silence)), -1)

    def field(conditions):
        return NetworkField(golden_transformer(), [Stage(0, [conditions[0].enc], rows)], plan.times)

    with torch.no_grad():
        draw = draws_of(job.noise, job.original)
        wanted = morph(field(job.source), field(job.target), job.original, plan, draw)
    assert furthest(edit(parts(), job, plan), wanted) < 1e-5


def test_a_short_song_is_edited_on_the_models_shortest_and_cut():
    job = job_of(mask=torch.ones(1, FRAMES))
    assert edit_song(parts(), job, EditPlan.of(Settings(), WHOLE, turbo=True)).shape == job.original.shape


def test_what_came_in_is_not_written_to():
    job = job_of(mask=torch.ones(1, FRAMES))
    before = job.original.clone(), job.mask.clone()
    edited(job, WINDOWS["remix"])
    assert torch.equal(before[0], job.original)
    assert torch.equal(before[1], job.mask)
