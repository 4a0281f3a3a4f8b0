"""Score Takes and Pick Take in a real ComfyUI: who judges, what is ranked, what is picked and what is refused."""

import json

import pytest
import torch

from support.comfyui.task_graphs import HEADS, encode, finished, opened, silence, woken
from support.comfyui.trial import given

NUMBERS = (
    [5, 63_999, 7, 8, 9, 1, 2, 3],
    [11, 12, 13, 14, 15, 16, 17, 18],
    [60_000, 50_000, 40_000, 30_000, 20_000, 10, 20, 30],
)


def codes_of(graph, numbers=NUMBERS):
    text = "\n\n".join("".join(f"<|audio_code_{code}|>" for code in song) for song in numbers)
    return graph.add("AceGraphCodesFromText", text=text)["codes"]


def scored(graph, lyrics="[Verse]\nla la la", planner=True, model=True, songs=3, **more):
    """Takes of one brief and Score Takes behind them."""
    load = opened(graph)
    conditions = encode(graph, load, lyrics=lyrics)
    judges = {}
    if planner:
        judges.update(planner=woken(graph), codes=codes_of(graph))
    if model:
        song = finished(graph, load, conditions, silence(graph, load, songs))
        judges.update(model=load["model"], latent=song.sampler["latent"], heads=HEADS)
    node = graph.add("AceGraphScoreTakes", conditions=conditions, **{**judges, **more})
    for output in (node["best"], node["order"], node["report"]):
        graph.add("PreviewAny", source=output)
    return node


def outputs(run_graph, graph, node):
    done = run_graph(graph)
    assert done.success, done.error
    return done[node["best"]], json.loads(done[node["order"]]), done[node["report"]]


@pytest.mark.parametrize(("planner", "model"), [(True, False), (False, True), (True, True)])
def test_either_judge_or_both_rank_the_takes(graph, run_graph, planner, model):
    best, order, report = outputs(run_graph, graph, scored(graph, planner=planner, model=model))
    assert sorted(order) == [0, 1, 2]
    assert best == order[0]
    assert report.startswith(f"Place 1: take {best}")
    assert ("Planner 0." in report) == planner
    assert ("Singing" in report) == model
    assert "time_signature" not in report
    assert ("language" in report) == planner
    assert "listen" in report


def test_the_order_of_the_takes_only_permutes_the_ranking(graph, run_graph):
    node = scored(graph, model=False)
    _, order, _ = outputs(run_graph, graph, node)
    graph.change(node, codes=codes_of(graph, NUMBERS[::-1]))
    _, turned, _ = outputs(run_graph, graph, node)
    assert [2 - take for take in turned] == order


@pytest.mark.usefixtures("trial")
def test_the_order_of_the_takes_only_permutes_the_ranking_by_their_singing(graph, run_graph):
    node = scored(graph, planner=False)
    latent = graph.prompt[node.id]["inputs"]["latent"]
    done = run_graph(graph)
    order, samples = json.loads(done[node["order"]]), done[latent]["samples"]
    graph.change(node, latent=given(graph, {"samples": samples.flip(0), "type": "audio"}))
    _, turned, report = outputs(run_graph, graph, node)
    assert len({line.split("Singing ")[1].split(" ")[0] for line in report.splitlines()[:3]}) == 3  # no ties
    assert [2 - take for take in turned] == order


def test_of_equal_takes_the_first_wins(graph, run_graph):
    node = scored(graph, model=False)
    graph.change(node, codes=codes_of(graph, [NUMBERS[1]] * 3))
    assert outputs(run_graph, graph, node)[1] == [0, 1, 2]


def test_figures_of_a_plan_are_looked_for_where_the_brief_is_silent(graph, run_graph):
    node = scored(graph, model=False)
    assert "bpm" not in outputs(run_graph, graph, node)[2]
    plan = graph.add("PrimitiveString", value="bpm: 90\nkeyscale: C major")
    graph.change(node, plan=plan[0])
    report = outputs(run_graph, graph, node)[2]
    assert "bpm" in report
    assert "key " in report


def test_weights_decide_what_counts(graph, run_graph):
    node = scored(graph, model=False, caption_weight=1.0, lyrics_weight=0.0, fields_weight=0.0)
    lines = outputs(run_graph, graph, node)[2].splitlines()[:3]
    for line in lines:
        reward, caption = (
            line.split(f"{word} ")[1].split(" ")[0].rstrip(",") for word in ("Planner", "(caption")
        )
        assert reward == caption


def test_without_words_the_planner_judges_alone_and_it_is_said(graph, run_graph):
    report = outputs(run_graph, graph, scored(graph, lyrics="[Instrumental]"))[2]
    assert "Nobody sings" in report
    assert "Singing" not in report


def test_a_song_of_codes_stands_for_every_take(graph, run_graph):
    node = scored(graph)
    graph.change(node, codes=codes_of(graph, NUMBERS[:1]))
    assert sorted(outputs(run_graph, graph, node)[1]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"codes": None}, "Only planner is connected, and codes"),
        ({"planner": None}, "Only codes is connected, and planner"),
        ({"latent": None}, "Only model is connected, and latent"),
        (dict.fromkeys(("planner", "codes", "model", "latent")), "nothing to judge"),
    ],
)
def test_half_a_judge_is_refused(trial, graph, change, problem):
    node = scored(graph)
    graph.change(node, **change)
    trial.refuses(graph, node, problem)


def test_codes_of_another_count_are_refused(trial, graph):
    node = scored(graph)
    graph.change(node, codes=codes_of(graph, NUMBERS[:2]))
    trial.refuses(graph, node, "2 songs of codes for 3 songs")


def test_no_codes_at_all_are_refused(trial, graph, pack):
    node = scored(graph, model=False)
    graph.change(node, codes=given(graph, pack.nodes.wires.sockets.CodeList(())))
    trial.refuses(graph, node, "no codes")


def test_codes_beyond_the_planners_window_are_refused(trial, graph):
    node = scored(graph, model=False, lyrics="la la la " * 2_000)
    assert "Shorten" in trial.refuses(graph, node, "codes and the words is")


def test_no_words_and_no_planner_are_refused(trial, graph):
    node = scored(graph, lyrics="[Instrumental]", planner=False)
    trial.refuses(graph, node, "nobody sings")


# ------------------------------------------------------------------------------------------------------ Pick Take
def timed(pack, songs=3):
    """Times of a line for each song, which tells its number."""
    lrc = pack.acestep_core.text.lrc
    words = [f"song {song}" for song in range(songs)]
    return tuple(lrc.TimedLyrics((lrc.TimedLine(0.0, 1.0, text, ()),), 6.0, 1.0) for text in words)


def picked(graph, songs=3, **more):
    load = opened(graph)
    conditions = encode(graph, load, lyrics="la la")
    song = finished(graph, load, conditions, silence(graph, load, songs), seed=4)
    wires = {"latent": song.sampler["latent"], "audio": song.decode["audio"], "codes": codes_of(graph)}
    node = graph.add("AceGraphPickTake", **{**wires, **more})
    graph.add("PreviewAny", source=node["report"])
    return load, conditions, song, node


@pytest.mark.usefixtures("trial")
def test_one_take_is_picked_out_of_everything(graph, run_graph, pack):
    times = timed(pack)
    _, _, song, node = picked(graph, index=1, times=given(graph, times))
    done = run_graph(graph)
    assert done.success, done.error
    assert torch.equal(done[node["latent"]]["samples"], done[song.sampler["latent"]]["samples"][1:2])
    assert torch.equal(done[node["audio"]]["waveform"], done[song.decode["audio"]]["waveform"][1:2])
    assert done[node["codes"]].numbers() == [NUMBERS[1]]
    assert done[node["times"]] == times[1:2]
    assert done[node["report"]] == "Take 1, which is song 2 of the batch."


def test_an_order_and_a_place_come_before_the_index(graph, run_graph):
    order = graph.add("PrimitiveString", value="[2, 0, 1]")
    _, _, _, node = picked(graph, index=7, order=order[0], place=3)
    assert run_graph(graph)[node["report"]].startswith("Take 1,")


def test_a_picked_latent_keeps_its_place_so_that_its_seed_plays_it_again(trial, graph, run_graph):
    load, conditions, _, node = picked(graph, index=2)
    again = finished(graph, load, conditions, node["latent"], seed=4)
    quiet = {"samples": torch.zeros(1, 64, 150), "type": "audio", "batch_index": [2]}
    graph.change(again.sampler, source=given(graph, quiet))
    done = run_graph(graph)
    assert done[node["latent"]]["batch_index"] == [2]
    assert (done[again.sampler["latent"]]["samples"] - done[node["latent"]]["samples"]).abs().max() < 5e-4
    nested = graph.add("AceGraphPickTake", latent=node["latent"], index=0)
    graph.add("PreviewAny", source=nested["report"])
    assert run_graph(graph)[nested["latent"]]["batch_index"] == [2]


def test_a_mask_on_the_latent_is_picked_as_well(trial, graph, run_graph):
    masks = torch.zeros(3, 1, 150)
    masks[1] = 1
    latent = {"samples": torch.randn(3, 64, 150), "type": "audio", "noise_mask": masks}
    node = graph.add("AceGraphPickTake", latent=given(graph, latent), index=1)
    graph.add("PreviewAny", source=node["report"])
    assert run_graph(graph)[node["latent"]]["noise_mask"].all()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"index": 3}, "no take 3 in the latent, which holds 3"),
        ({"index": 2, "times": 2}, "no take 2 in the times, which holds 2"),
        ({"place": 4, "order": "[0, 1, 2]"}, "no place 4 in an order of 3"),
        ({"order": "best"}, "'best' is no order"),
        ({"order": "[0, -1]"}, "is no order"),
        ({"order": "[" * 100_000}, "is no order"),
        ({"order": "[9]"}, "no take 9 in the latent"),
    ],
)
def test_a_take_that_is_not_there_is_refused(trial, graph, pack, change, problem):
    _, _, _, node = picked(graph)
    if "times" in change:
        change = {**change, "times": given(graph, timed(pack, change["times"]))}
    wired = {
        name: graph.add("PrimitiveString", value=value)[0] if name == "order" else value
        for name, value in change.items()
    }
    graph.change(node, **wired)
    trial.refuses(graph, node, problem)


def test_nothing_to_pick_from_is_refused(trial, graph):
    node = graph.add("AceGraphPickTake", index=0)
    graph.add("PreviewAny", source=node["report"])
    trial.refuses(graph, node, "nothing to pick")


def test_the_best_take_of_a_batch_is_what_score_takes_says(graph, run_graph):
    node = scored(graph)
    latent = graph.prompt[node.id]["inputs"]["latent"]
    by_index = graph.add("AceGraphPickTake", latent=latent, index=node["best"])
    by_order = graph.add("AceGraphPickTake", latent=latent, order=node["order"])
    for pick in (by_index, by_order):
        graph.add("PreviewAny", source=pick["report"])
    done = run_graph(graph)
    assert torch.equal(done[by_index["latent"]]["samples"], done[by_order["latent"]]["samples"])
