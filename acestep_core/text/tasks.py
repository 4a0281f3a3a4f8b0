"""What can be done with a song, as data: the instruction the model reads and what each task needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..errors import InvalidInputError

COVER_INSTRUCTION = "Generate audio semantic tokens based on the given conditions:"


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of work. Nothing else in the package asks for a task's name."""

    name: str
    template: str  # the instruction; `{tracks}` stands where track names go
    trackless: str = ""  # the instruction when no track is named; empty: the template, which then names none
    with_codes: str | None = None  # the instruction when audio codes are given; None: the task takes none
    tracks: Literal["none", "one", "many"] = "none"
    silences_span: bool = False  # inside the mask the source becomes silence
    needs_mask: bool = False
    base_only: bool = False  # turbo and sft checkpoints were not taught it
    takes_region: bool = False  # a mask is allowed and leaves the source as it is
    edits_over: Literal["nothing", "silence", "hints", "song"] = (
        "nothing"  # what flow edit shows as source; nothing: it does not know the task
    )

    @property
    def knows_masks(self) -> bool:
        """Whether the model was taught a mask for it."""
        return self.needs_mask or self.takes_region


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(
                "text2music",
                "Fill the audio semantic mask based on the given conditions:",
                with_codes=COVER_INSTRUCTION,
                edits_over="silence",
            ),
            Task("cover", COVER_INSTRUCTION, with_codes=COVER_INSTRUCTION, edits_over="hints"),
            Task("cover_nofsq", COVER_INSTRUCTION, edits_over="song"),
            Task(
                "repaint",
                "Repaint the mask area based on the given conditions:",
                silences_span=True,
                needs_mask=True,
            ),
            Task(
                "extend",
                "Repaint the mask area based on the given conditions:",
                silences_span=True,
                needs_mask=True,
            ),
            Task(
                "extract",
                "Extract the {tracks} track from the audio:",
                trackless="Extract the track from the audio:",
                tracks="one",
                base_only=True,
            ),
            Task(
                "lego",
                "Generate the {tracks} track based on the audio context:",
                trackless="Generate the track based on the audio context:",
                tracks="one",
                base_only=True,
                takes_region=True,
            ),
            Task(
                "complete",
                "Complete the input track with {tracks}:",
                trackless="Complete the input track:",
                tracks="many",
                base_only=True,
            ),
        )
    }
)
TEXT2MUSIC = TASKS["text2music"]


def task_named(name: str) -> Task:
    """Look a task up by its name."""
    if name not in TASKS:
        raise InvalidInputError(
            f"There is no task {name[:80]!r} here.", f"Choose one of: {', '.join(TASKS)}."
        )
    return TASKS[name]


def require_learnt(task: Task, turbo: bool) -> None:
    """Refuse a task that the checkpoint was never taught."""
    if task.base_only and turbo:
        raise InvalidInputError(
            f"A turbo checkpoint has not learnt the task {task.name}.", "Load a base checkpoint for it."
        )


def instruction(task: Task, tracks: Sequence[str] = (), has_codes: bool = False) -> str:
    """The sentence that tells the model what to do; a task without tracks leaves `tracks` unread."""
    if has_codes:
        if task.with_codes is None:
            raise InvalidInputError(
                f"The task {task.name} takes no audio codes.",
                "Disconnect the codes, or choose text2music or cover.",
            )
        return task.with_codes
    if task.tracks == "one" and len(tracks) > 1:
        raise InvalidInputError(
            f"The task {task.name} takes one track and was given {', '.join(tracks)}.",
            "Name one track, or choose the task complete for several.",
        )
    template = task.template if tracks else task.trackless or task.template
    return template.format(tracks=" | ".join(track.upper() for track in tracks))
