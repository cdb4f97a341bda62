"""What a run prints: how far it is, how long it still takes, and the result of each finished cell."""

import io
import json
import logging

import pytest

from unlearning.workflow.watch import Progress, Watch, Work, closing_words, result_of


def work(rule, method=None, model="resnet20", result=None):
    cell = {"method": method} if method else {}
    return Work(rule, {"model": model, "dataset": "digits", "forget_class": "0", "seed": "42"} | cell, result)


def four_jobs():
    """Return the state of a run, begun at 0, of two methods on one core: ten seconds each, their evaluations two."""
    jobs = [work(rule, method) for method in ("scrub", "delete") for rule in ("unlearn", "evaluate")]
    return Progress(dict(enumerate(jobs)), 0.0)


def test_a_job_is_named_as_a_person_knows_it():
    assert str(work("unlearn", "scrub")) == "unlearn scrub · resnet20-digits-class0 · seed 42"
    assert str(Work("pretrain", {"model": "vgg16bn", "dataset": "digits", "seed": "43"})) == (
        "pretrain · vgg16bn-digits · seed 43"
    )
    assert str(Work("table")) == "table"


def test_no_time_is_told_before_a_job_of_each_kind_is_finished():
    progress = four_jobs()
    assert progress.seconds_left(0.0) is None
    progress.start([0], 0.0)
    progress.finish(0, 10.0)
    assert progress.seconds_left(10.0) is None  # nobody knows how long an evaluation takes
    progress.start([1], 10.0)
    progress.finish(1, 12.0)
    assert progress.seconds_left(12.0) == pytest.approx(12.0)


def test_the_time_left_is_shorter_where_jobs_run_at_once():
    progress = Progress({number: work("unlearn", f"m{number}") for number in range(6)}, 0.0)
    progress.start([0, 1], 0.0)
    progress.finish(0, 10.0)
    progress.finish(1, 10.0)
    assert progress.seconds_left(10.0) == pytest.approx(4 * 10 / 2)


def test_the_time_of_one_model_is_not_taken_for_that_of_another():
    progress = Progress({0: work("unlearn", "a"), 1: work("unlearn", "a", "vgg16bn")}, 0.0)
    progress.start([0], 0.0)
    progress.finish(0, 10.0)
    assert progress.seconds_left(10.0) is None


def test_the_line_counts_jobs_and_cells_and_names_what_runs():
    progress = four_jobs()
    progress.start([0, 2], 0.0)
    assert progress.line(1.0) == (
        "0 of 4 jobs, 0 of 2 cells: unlearn delete · resnet20-digits-class0 · seed 42 and 1 more"
    )
    for number, end in ((0, 10.0), (1, 12.0), (2, 22.0)):
        progress.start([number], end - (2 if number == 1 else 10))
        progress.finish(number, end)
    assert progress.line(22.0) == "3 of 4 jobs, 1 of 2 cells, 2 s left"


def test_a_finished_cell_is_told_with_its_numbers_and_a_failed_one_with_its_reason(tmp_path):
    file = tmp_path / "metrics.json"
    numbers = {"retain_acc": 0.91234, "forget_acc": 0.0, "forget_mia_auc": 0.5, "unlearn_score": 0.8}
    file.write_text(json.dumps({"status": "ok"} | numbers))
    cell = work("evaluate", "scrub", result=str(file))
    name = "scrub · resnet20-digits-class0 · seed 42: "
    assert result_of(cell, 1.0) == (
        f"{name}retain_acc 0.912, forget_acc 0.000, forget_mia_auc 0.500, unlearn_score 0.800"
    )
    file.write_text(json.dumps({"status": "failed", "reason": "ValueError: no"} | dict.fromkeys(numbers)))
    assert result_of(cell, 1.0) == f"{name}failed: ValueError: no"
    assert result_of(work("pretrain"), 75.0) == "pretrain · resnet20-digits-class0 · seed 42: 75 s"
    assert result_of(work("compare", "scrub"), 1.0) is None


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(stream, *events):
    """Return what is printed to ``stream`` for the events, each a name and its fields."""
    shown = Watch({1: work("unlearn", "scrub")}, stream)
    for name, fields in events:
        shown.handle(logging.makeLogRecord({"event": name, "levelno": logging.INFO} | fields))
    shown.close()
    return stream.getvalue()


STARTED, FINISHED = ("job_started", {"jobs": [1]}), ("job_finished", {"job_id": 1})


def test_a_last_line_is_drawn_on_a_terminal_alone_and_taken_away():
    printed = told(Terminal(), STARTED, FINISHED)
    assert "0 of 1 jobs: unlearn scrub" in printed
    assert printed.endswith("\r\033[K")
    assert told(io.StringIO(), STARTED, FINISHED) == ""


def test_a_result_that_cannot_be_read_does_not_disturb_the_run(tmp_path):
    shown = Watch({1: work("evaluate", "scrub", result=str(tmp_path / "gone"))}, io.StringIO())
    shown.handle(logging.makeLogRecord({"event": "job_finished", "job_id": 1, "levelno": logging.INFO}))
    assert shown.progress.line(0.0).startswith("1 of 1 jobs")


def test_jobs_that_were_not_planned_at_the_start_are_passed_over():
    assert told(io.StringIO(), ("job_started", {"jobs": [7]}), ("job_finished", {"job_id": 7})) == ""


def test_the_last_words_are_the_first_block_and_the_cells_that_failed():
    table = "# T\n\nlegend\n\n## one-class0\n\n**a warning**\n\n| a |\n|---|\n| 1 |\n\nmore\n\n## two-class0\n\n| b |\n"
    cells = [{"status": "ok"}, {"status": "failed", "method": "scrub", "benchmark": "one-class0", "seed": "42"}]
    words = closing_words(table, cells)
    assert words.startswith("\none-class0\n\n| a |\n|---|\n| 1 |\n\nresults/table.md: ")
    assert "| b |" not in words
    assert "\n1 of 2 cells are ok\nscrub on one-class0, seed 42: failed\n" in words
