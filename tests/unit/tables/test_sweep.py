"""The choice of a sweep."""

from unlearning.tables.sweep import choose


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
