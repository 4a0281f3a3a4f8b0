"""Rows done, songs per hour and the end are those of the clock."""

from batch.progress import Progress


def test_the_line_says_how_far_a_run_is():
    now, said = [0.0], []
    progress = Progress(4, said.append, clock=lambda: now[0])
    now[0] = 2.0
    progress.ended(is_done=True)
    assert said == []  # too soon
    now[0] = 10.0
    progress.ended(is_done=True)
    assert said[0].startswith("2 of 4 rows ended; 720 songs an hour; 0:00:10 left, until ")
    now[0] = 11.0
    progress.ended(is_done=False)
    progress.ended(is_done=True)
    assert said[1] == "4 of 4 rows ended, 1 of them failed; 982 songs an hour"
    assert len(said) == 2
