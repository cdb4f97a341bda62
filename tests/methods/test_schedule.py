"""When a method takes a forget step: `methods.shared.schedule`."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from methods.shared.schedule import is_forget_turn, is_in_forget_round, is_measuring

SIZES = st.integers(1, 400)


@given(steps=SIZES, of_forget=SIZES)
def test_the_forget_steps_of_an_epoch_make_one_pass_and_are_spread_evenly(steps, of_forget):
    turns = [step for step in range(steps) if is_forget_turn(step, steps, of_forget)]
    assert len(turns) == min(of_forget, steps)
    assert turns[0] == 0
    gaps = [later - earlier for earlier, later in zip(turns, [*turns[1:], steps], strict=True)]
    assert max(gaps) - min(gaps) <= 1


@given(steps=SIZES, of_forget=SIZES, passes=st.floats(0, 10))
def test_several_passes_have_their_share_of_the_steps_spread_evenly(steps, of_forget, passes):
    turns = [step for step in range(steps) if is_forget_turn(step, steps, of_forget, passes=passes)]
    assert abs(len(turns) - min(passes * of_forget, steps)) <= 0.5
    gaps = [later - earlier for earlier, later in pairwise([*turns, steps])]
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


@given(steps=SIZES, of_forget=SIZES)
def test_a_forget_round_is_as_many_steps_at_the_beginning_of_the_epoch(steps, of_forget):
    is_in_round = [is_in_forget_round(step, steps, of_forget) for step in range(steps)]
    assert sum(is_in_round) == sum(is_forget_turn(step, steps, of_forget) for step in range(steps))
    assert is_in_round == sorted(is_in_round, reverse=True)


@pytest.mark.parametrize("is_forget_step", [is_forget_turn, is_in_forget_round])
@given(steps=SIZES, of_forget=SIZES)
def test_always_is_every_step(is_forget_step, steps, of_forget):
    assert all(is_forget_step(step, steps, of_forget, "always") for step in range(steps))


@pytest.mark.parametrize(("retain", "forget", "every"), [(352, 40, 8.8), (387, 4, 96.75), (422, 47, 9)])
def test_the_published_benchmarks_have_their_forget_steps_as_often_as_by_hand(retain, forget, every):
    turns = [step for step in range(retain) if is_forget_turn(step, retain, forget)]
    assert all(step == -(-number * retain // forget) for number, step in enumerate(turns))
    assert turns[1] == pytest.approx(every, abs=1)


@pytest.mark.parametrize("is_forget_step", [is_forget_turn, is_in_forget_round])
def test_another_word_for_the_schedule_is_refused(is_forget_step):
    with pytest.raises(ValueError, match="forget_pass is 'twice'; write once or always"):
        is_forget_step(0, 9, 1, "twice")


@given(steps=SIZES, of_forget=SIZES, least=SIZES)
def test_measuring_takes_a_pass_over_the_forget_set_and_an_epoch_at_most(steps, of_forget, least):
    assert sum(is_measuring(step, 0, steps, of_forget) for step in range(steps)) == min(of_forget, steps)
    longer = [is_measuring(step, 0, steps, of_forget, least) for step in range(steps)]
    assert sum(longer) == min(max(of_forget, least), steps)
    assert longer == sorted(longer, reverse=True)
    assert not any(is_measuring(step, 1, steps, of_forget, least) for step in range(steps))
