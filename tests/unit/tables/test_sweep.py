"""The choice of a sweep."""

from unlearning.tables.sweep import choose, render_sweep


def rows(method, setting, *values):
    """Return rows of a sweep, one per benchmark; a value is (unlearn_score, mean_abs_gap), or None if failed."""
    return [
        {"method": method, "setting": setting, "benchmark": str(number)}
        | (
            {"status": "failed"}
            if pair is None
            else {"status": "ok", "unlearn_score": pair[0], "mean_abs_gap": pair[1]}
        )
        for number, pair in enumerate(values)
    ]


def test_without_an_oracle_none_is_chosen_by_the_gap():
    """With one seed, a single failed oracle leaves no distance; the scores are there all the same."""
    tried = [*rows("m", "a", (0.9, None), (0.5, 0.3)), *rows("m", "b", (0.8, None), (0.7, 0.2))]
    assert choose(tried) == [{"method": "m", "settings": 2, "by_score": "b", "by_gap": None}]
    known = {"retain_acc": 0.5, "forget_acc": 0.25, "forget_mia_auc_two_sided": 0.5, "kind": "method"}
    whole = [known | row for row in tried]
    (line,) = [line for line in render_sweep(whole, 42, 0.2).splitlines() if line.startswith("| m ")]
    assert [cell.strip() for cell in line.split("|")[3:9]] == ["b", "0.500", "0.250", "0.500", "0.750", "–"]


def test_the_best_mean_over_benchmarks_is_chosen_by_score_and_by_gap():
    tried = [
        *rows("m", "a", (0.9, 0.30), (0.5, 0.30)),
        *rows("m", "b", (0.8, 0.20), (0.7, 0.20)),
        *rows("m", "c", (0.6, 0.01), (0.6, 0.20)),
        *rows("m", "d", (1.0, 0.00), None),
        *rows("other", "e", None, None),
    ]
    assert choose(tried) == [
        {"method": "m", "settings": 4, "by_score": "b", "by_gap": "c"},
        {"method": "other", "settings": 1, "by_score": None, "by_gap": None},
    ]
