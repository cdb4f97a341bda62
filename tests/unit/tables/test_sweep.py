"""The choice of a sweep, and its front of best settings."""

from hypothesis import given
from hypothesis import strategies as st

from unlearning.tables.sweep import choose, pareto_front


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


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_no_point_surpasses_the_front_and_every_other_is_surpassed(points):
    front = pareto_front(points)

    def surpasses(one, other):
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    assert front == sorted(front)
    for point in points:
        assert (point in front) == (not any(surpasses(other, point) for other in points))
