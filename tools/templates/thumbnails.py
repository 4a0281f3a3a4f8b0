"""Draws the pictures of the template list: what a task does to a sound, at a glance.

    python -m tools.templates.thumbnails            all of them
    python -m tools.templates.thumbnails cover      some

Grey is what was there, colours are new. Nothing but Pillow is needed.
"""

import sys
from pathlib import Path

from PIL import Image

from tools import ROOT
from tools.templates.names import TITLES, file_of
from tools.templates.sketch import (
    COLOURS,
    HEIGHT,
    INK,
    OLD,
    ORANGE,
    PINK,
    TEAL,
    VIOLET,
    WIDTH,
    YELLOW,
    Colour,
    Sketch,
)

FOLDER = ROOT / "example_workflows"
QUALITY = 88
MID = HEIGHT / 2


def written(sketch: Sketch, lines: int, colour: Colour = INK) -> None:
    """A text on the left, an arrow, and room on the right."""
    sketch.words(28, 150, MID - 9 * lines + 4, lines, colour)
    sketch.arrow(168, MID)


def song(sketch: Sketch) -> None:
    written(sketch, 7)
    sketch.wave(200, 376, MID, 150, ORANGE)


def song_chinese(sketch: Sketch) -> None:
    for place in range(20):
        x, y = 30 + 24 * (place % 5), 55 + 30 * (place // 5)
        sketch.bar(x, y, x + 17, y + 17, INK, 4)
    sketch.arrow(168, MID)
    sketch.wave(200, 376, MID, 150, PINK)


def instrumental(sketch: Sketch) -> None:
    for place, colour in enumerate((ORANGE, TEAL, VIOLET)):
        sketch.wave(30, 376, 52 + 60 * place, 50, colour, place + 2)


def inspire(sketch: Sketch) -> None:
    written(sketch, 1, YELLOW)
    sketch.words(200, 300, 30, 4)
    sketch.wave(200, 376, 160, 90, ORANGE, 4)


def cover(sketch: Sketch) -> None:
    sketch.wave(30, 376, 62, 80, OLD, 3)
    sketch.arrow(200, 106, down=True)
    sketch.wave(30, 376, 168, 90, TEAL, 3)


def repaint(sketch: Sketch) -> None:
    sketch.wave(24, 380, MID, 160, lambda share: ORANGE if 0.38 < share < 0.64 else OLD, 5)


def extend(sketch: Sketch) -> None:
    sketch.wave(24, 380, MID, 160, lambda share: OLD if share < 0.55 else TEAL, 6)


def stems(sketch: Sketch) -> None:
    sketch.wave(24, 150, MID, 150, OLD, 7)
    sketch.arrow(168, MID)
    for place, colour in enumerate(COLOURS):
        sketch.wave(204, 378, 32 + 40 * place, 34, colour, place + 8)


def lego(sketch: Sketch) -> None:
    for place in range(4):
        sketch.wave(30, 376, 38 + 50 * place, 42, ORANGE if place == 3 else OLD, place + 3)


def complete(sketch: Sketch) -> None:
    for place, colour in enumerate((OLD, ORANGE, TEAL, VIOLET)):
        sketch.wave(30, 376, 38 + 50 * place, 42, colour, place + 13)


def retake(sketch: Sketch) -> None:
    sketch.wave(30, 376, 40, 56, OLD, 20)
    for place, colour in enumerate((ORANGE, YELLOW, PINK)):
        sketch.wave(30, 376, 96 + 48 * place, 44 + 4 * place, colour, 20)


def reference_timbre(sketch: Sketch) -> None:
    def rainbow(share: float) -> str:
        return COLOURS[min(int(share * 5), 4)]

    sketch.wave(24, 150, MID, 120, rainbow, 21)
    sketch.arrow(168, MID)
    sketch.wave(204, 378, MID, 150, rainbow, 26)


def edit_words(sketch: Sketch) -> None:
    sketch.wave(30, 376, 60, 76, OLD, 22)
    sketch.words(30, 370, 118, 5, lambda share: PINK if 0.3 < share < 0.8 else INK)


def edit_style(sketch: Sketch) -> None:
    sketch.wave(
        24, 380, MID, 160, lambda share: OLD if share < 0.33 else VIOLET if share < 0.66 else PINK, 23
    )


def cover_strengths(sketch: Sketch) -> None:
    for place, colour in enumerate((OLD, "#5fa39c", TEAL)):
        sketch.wave(30, 376, 46 + 66 * place, 58, colour, 3 if place < 2 else 24)


def two_styles(sketch: Sketch) -> None:
    for place, colour in enumerate((ORANGE, VIOLET)):
        sketch.words(28, 130, 44 + 96 * place, 2, colour)
        sketch.arrow(150, 58 + 96 * place)
        sketch.wave(180, 378, 60 + 96 * place, 76, colour, 41 + place)


def plan(sketch: Sketch) -> None:
    written(sketch, 3)
    for place, colour in enumerate((YELLOW, TEAL, PINK)):
        sketch.bar(204 + 60 * place, 44, 252 + 60 * place, 76, colour, 10)
    sketch.wave(204, 378, 156, 90, ORANGE, 25)


def compose(sketch: Sketch) -> None:
    sketch.dots(28, 74, 8, 5, YELLOW)
    sketch.arrow(168, MID)
    for place, colour in enumerate((ORANGE, TEAL, PINK, VIOLET)):
        sketch.wave(204, 378, 38 + 50 * place, 40, colour, place + 30)


def understand(sketch: Sketch) -> None:
    sketch.wave(24, 150, MID, 150, OLD, 27)
    sketch.arrow(168, MID)
    sketch.words(208, 372, MID - 50, 6, YELLOW)


def lora(sketch: Sketch) -> None:
    sketch.plug(60, MID - 34, VIOLET)
    sketch.arrow(150, MID)
    sketch.wave(186, 378, MID, 150, VIOLET, 28)


def two_loras(sketch: Sketch) -> None:
    sketch.plug(28, MID - 34, VIOLET)
    sketch.plug(86, MID - 34, TEAL)
    sketch.arrow(156, MID)
    sketch.wave(186, 378, MID, 150, lambda share: (VIOLET, TEAL)[int(share * 20) % 2], 28)


def with_and_without(sketch: Sketch) -> None:
    for place, colour in enumerate((VIOLET, "#7a74b8", OLD)):
        if place < 2:
            sketch.plug(34, 18 + 66 * place, colour)
        sketch.wave(110, 376, 46 + 66 * place, 58, colour, 29)


def text2music(sketch: Sketch) -> None:
    spots = [(24, 80), (120, 30), (120, 130), (216, 80), (312, 80)]
    for start, stop in ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4)):
        (x, y), (right, bottom) = spots[start], spots[stop]
        sketch.wire(x + 66, y + 30, right, bottom + 30)
    for (x, y), colour in zip(spots, COLOURS, strict=True):
        sketch.node(x, y, colour)


def codes(sketch: Sketch) -> None:
    sketch.wave(24, 150, MID, 120, OLD, 31)
    sketch.arrow(168, MID)
    sketch.dots(206, 64, 10, 6, YELLOW)


def custom_schedule(sketch: Sketch) -> None:
    for place in range(12):
        tall = 160 * (1 - place / 12) ** 1.7 + 6
        sketch.bar(34 + 29 * place, 200 - tall, 54 + 29 * place, 200, TEAL, 4)


def ksampler(sketch: Sketch) -> None:
    sketch.node(34, 60, YELLOW, 104, 104)
    sketch.arrow(158, MID)
    sketch.wave(190, 378, MID, 150, YELLOW, 32)


def comfy_sampler(sketch: Sketch) -> None:
    for place, colour in enumerate((YELLOW, TEAL, PINK, VIOLET)):
        x, y = 26 + 62 * (place % 2), 52 + 64 * (place // 2)
        sketch.node(x, y, colour, 54, 54)
    sketch.arrow(166, MID)
    sketch.wave(196, 378, MID, 150, YELLOW, 33)


def karaoke(sketch: Sketch) -> None:
    sketch.wave(30, 376, 66, 84, OLD, 34)
    sketch.words(30, 370, 130, 4, lambda share: ORANGE if share < 0.5 else INK)
    sketch.bar(206, 20, 209, 112, ORANGE)


def best_of_four(sketch: Sketch) -> None:
    for place in range(4):
        sketch.wave(70, 376, 38 + 50 * place, 42, YELLOW if place == 1 else OLD, place + 35)
    sketch.arrow(38, 88)


def other(sketch: Sketch) -> None:
    """A page that nobody has drawn yet."""
    sketch.wave(24, 380, MID, 150, lambda share: COLOURS[min(int(share * 5), 4)], 40)


def sheet(sketch: Sketch) -> None:
    for row, colour in enumerate((ORANGE, TEAL, VIOLET)):
        for column in range(3):
            sketch.wave(
                40 + 116 * column,
                132 + 116 * column,
                52 + 60 * row,
                20 + 15 * column,
                colour,
                3 * row + column,
            )


DRAWN = (
    *(song, song_chinese, instrumental, inspire, cover, repaint, extend, stems, lego, complete, retake),
    *(
        reference_timbre,
        edit_words,
        edit_style,
        cover_strengths,
        two_styles,
        plan,
        compose,
        understand,
        lora,
        two_loras,
    ),
    *(with_and_without, text2music, karaoke, best_of_four, codes, custom_schedule, ksampler, comfy_sampler),
    sheet,
)
SKETCHES = {draw.__name__: draw for draw in DRAWN}


def drawn(name: str) -> Image.Image:
    """The picture of a page."""
    sketch = Sketch()
    SKETCHES.get(name, other)(sketch)
    return sketch.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def write(name: str, folder: Path = FOLDER) -> None:
    """The picture beside the file of a page."""
    drawn(name).save(folder / f"{file_of(name)}.jpg", "JPEG", quality=QUALITY, optimize=True)


def main() -> None:
    """Draw what is asked for."""
    for name in sys.argv[1:] or TITLES:
        write(name)


if __name__ == "__main__":
    main()
