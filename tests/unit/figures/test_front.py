"""The front of the points that no other surpasses."""

from hypothesis import given
from hypothesis import strategies as st

from unlearning.figures.front import on_front, pareto_front


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_no_point_surpasses_the_front_and_every_other_is_surpassed(points):
    front = pareto_front(points)

    def surpasses(one, other):
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    assert front == sorted(front)
    for point in points:
        assert (point in front) == (not any(surpasses(other, point) for other in points))


def test_of_equal_points_on_the_front_all_are_named():
    points = {"a": (0.9, 0.1), "b": (0.9, 0.1), "c": (0.8, 0.1), "d": (0.5, 0.0)}
    assert on_front(points) == ["d", "a", "b"]
