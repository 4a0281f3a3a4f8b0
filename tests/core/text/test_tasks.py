from dataclasses import FrozenInstanceError

import pytest

from acestep_core.errors import InvalidInputError
from acestep_core.text.tasks import TASKS, TEXT2MUSIC, instruction, task_named

COVER = "Generate audio semantic tokens based on the given conditions:"


@pytest.mark.parametrize(
    ("name", "tracks", "expected"),
    [
        ("text2music", (), "Fill the audio semantic mask based on the given conditions:"),
        ("cover", (), COVER),
        ("cover_nofsq", (), COVER),
        ("repaint", (), "Repaint the mask area based on the given conditions:"),
        ("extend", (), "Repaint the mask area based on the given conditions:"),
        ("extract", ("vocals",), "Extract the VOCALS track from the audio:"),
        ("extract", ("backing_vocals",), "Extract the BACKING_VOCALS track from the audio:"),
        ("extract", (), "Extract the track from the audio:"),
        ("lego", ("drums",), "Generate the DRUMS track based on the audio context:"),
        ("lego", (), "Generate the track based on the audio context:"),
        ("complete", ("drums", "bass"), "Complete the input track with DRUMS | BASS:"),
        ("complete", ("bass",), "Complete the input track with BASS:"),
        ("complete", (), "Complete the input track:"),
    ],
)
def test_the_instruction_is_the_one_the_model_was_taught(name, tracks, expected):
    assert instruction(TASKS[name], tracks) == expected


def test_there_are_eight_tasks_under_their_own_names():
    assert list(TASKS) == [
        *("text2music", "cover", "cover_nofsq", "repaint", "extend", "extract", "lego", "complete")
    ]
    assert all(task.name == name for name, task in TASKS.items())


def test_audio_codes_choose_the_cover_instruction_and_leave_the_task():
    assert instruction(TEXT2MUSIC, has_codes=True) == COVER
    assert TEXT2MUSIC.name == "text2music"
    assert instruction(TASKS["cover"], has_codes=True) == COVER


@pytest.mark.parametrize("name", ["cover_nofsq", "repaint", "extend", "extract", "lego", "complete"])
def test_other_tasks_refuse_audio_codes(name):
    with pytest.raises(InvalidInputError, match="text2music or cover"):
        instruction(TASKS[name], has_codes=True)


@pytest.mark.parametrize("name", ["text2music", "cover", "cover_nofsq", "repaint", "extend"])
def test_a_task_without_tracks_reads_none(name):
    assert instruction(TASKS[name], ("vocals",)) == instruction(TASKS[name])


@pytest.mark.parametrize("name", ["extract", "lego"])
def test_a_task_for_one_track_refuses_two(name):
    with pytest.raises(InvalidInputError, match="drums, bass"):
        instruction(TASKS[name], ("drums", "bass"))


def test_what_each_task_needs_is_data():
    def having(field):
        return {name for name, task in TASKS.items() if getattr(task, field)}

    assert having("silences_span") == having("needs_mask") == {"repaint", "extend"}
    assert having("base_only") == {"extract", "lego", "complete"}
    assert having("takes_region") == {"lego"}
    assert having("knows_masks") == {"repaint", "extend", "lego"}


def test_the_table_and_its_tasks_cannot_be_changed():
    with pytest.raises(TypeError):
        TASKS["cover"] = TEXT2MUSIC
    with pytest.raises(FrozenInstanceError):
        TEXT2MUSIC.template = "Sing:"


def test_an_unknown_task_is_refused_with_the_known_ones():
    assert task_named("lego") is TASKS["lego"]
    with pytest.raises(InvalidInputError) as refused:
        task_named("remix")
    assert "'remix'" in refused.value.problem
    assert "cover_nofsq" in refused.value.remedy
