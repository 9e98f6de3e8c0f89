import io

from reports import make_epoch

from retort.durations import format_seconds
from retort.training.progress import DownloadProgress, Listeners, TrainingProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_there_is_one_line_in_ten_seconds():
    out, clock = io.StringIO(), Clock()
    with TrainingProgress(out, clock) as progress:
        for step in range(1, 61):
            progress.on_step(step, 100, 0.5, 1e-5, 40.0)
            clock.now += 0.5
    lines = out.getvalue().splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["step 1/100", "step 21/100", "step 41/100"]
    assert lines[1] == "step 21/100 · 40.0 examples/s · 39.5 s left · loss 0.5000"


def test_each_epoch_has_its_line_and_the_best_is_remembered():
    out, clock = io.StringIO(), Clock()
    with TrainingProgress(out, clock) as progress:
        progress.on_epoch(make_epoch(1, 0.91), True)
        progress.on_epoch(make_epoch(2, 0.9), False)
        progress.on_step(21, 30, 0.25, 1e-5, 40.0)
    first, second, third = out.getvalue().splitlines()
    assert first == "epoch 1 · 1 min 23 s · loss 0.5000 · accuracy 0.9100 · macro_f1 0.9000 ← best so far"
    assert "best" not in second
    assert third.endswith("loss 0.2500 · best accuracy 0.9100 (epoch 1)")


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    out = Terminal()
    with TrainingProgress(out) as progress:
        progress.on_step(25, 100, 0.5, 1e-5, 40.0)
        progress.on_epoch(make_epoch(1, 0.91), True)
        progress.on_step(50, 100, 0.5, 1e-5, 40.0)
    assert "50%" in out.getvalue()
    assert "40.0 examples/s" in out.getvalue()
    assert "epoch 1 ·" in out.getvalue()


def test_square_brackets_are_not_read_as_colours():
    out = io.StringIO()
    with TrainingProgress(out) as progress:
        progress.on_epoch(make_epoch(1, 0.5, name="[red]x[/]"), True)
    assert "[red]x[/] 0.5000" in out.getvalue()


def test_several_listeners_hear_the_same():
    streams = [io.StringIO(), io.StringIO()]
    both = Listeners([TrainingProgress(s, Clock()) for s in streams])
    both.on_step(1, 10, 0.5, 1e-5, 40.0)
    both.on_epoch(make_epoch(), True)
    assert streams[0].getvalue() == streams[1].getvalue() != ""


def test_downloads_say_how_far_they_are():
    out, clock = io.StringIO(), Clock()
    with DownloadProgress("bert.zip", out, clock) as progress:
        for done in range(0, 5_000_001, 1_000_000):
            progress(done, 5_000_000)
            clock.now += 3
    lines = out.getvalue().splitlines()
    assert lines == [
        "bert.zip: 0.0 of 5.0 MB (0 %)",
        "bert.zip: 4.0 of 5.0 MB (80 %)",
        "bert.zip: 5.0 of 5.0 MB (100 %)",
    ]


def test_downloads_of_unknown_size_say_what_came():
    out = io.StringIO()
    with DownloadProgress("bert.zip", out, Clock()) as progress:
        progress(2_500_000, None)
        progress(0, 0)
    assert out.getvalue().splitlines()[0] == "bert.zip: 2.5 MB"


def test_a_terminal_shows_downloads_as_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with DownloadProgress("bert.zip", out) as progress:
        progress(500, 1000)
        progress(1000, 1000)
    assert "bert.zip" in out.getvalue()


def test_durations_read_well():
    assert [format_seconds(s) for s in (9.26, 59.99, 125, 4800, 86400)] == [
        "9.3 s",
        "60.0 s",
        "2 min 05 s",
        "1 h 20 min",
        "24 h 00 min",
    ]
