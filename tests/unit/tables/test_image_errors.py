"""The area's error over draws of images: against DeLong's covariance, the bootstrap, and one seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.evaluation.metrics import membership_auc, membership_auc_standard_error, placement_values
from unlearning.tables.image_errors import image_errors

MEMBERS, NON_MEMBERS = 40, 30


def scores(rng, models):
    """Return the scores of members and non-members by ``models`` that partly agree."""
    shared = rng.normal(size=(1, MEMBERS)), rng.normal(size=(1, NON_MEMBERS)) - 0.3
    return [side + rng.normal(size=(models, side.shape[1])) for side in shared]


def delong_covariance(members, non_members):
    """Return DeLong's covariance of the models' areas, from comparisons of each member with each non-member."""
    wins = (members[:, :, None] > non_members[:, None, :]) + 0.5 * (members[:, :, None] == non_members[:, None, :])
    return np.cov(wins.mean(axis=2)) / members.shape[1] + np.cov(wins.mean(axis=1)) / non_members.shape[1]


def errors_of(cells, placements):
    return {(row.method, row.metric): row for row in image_errors(cells, placements).itertuples()}


def cell(method, seed):
    return {"benchmark": "b", "method": method, "seed": seed}


def test_the_error_of_the_mean_over_seeds_and_of_the_paired_difference_are_delongs():
    members, non_members = scores(np.random.default_rng(0), 4)
    placements = [placement_values(a, b) for a, b in zip(members, non_members, strict=True)]
    cells = [cell("retrain", 1), cell("retrain", 2), cell("mine", 1), cell("mine", 2)]
    found = errors_of(cells, placements)
    covariance = delong_covariance(members, non_members)
    for method, weights in (("retrain", [0.5, 0.5, 0, 0]), ("mine", [0, 0, 0.5, 0.5])):
        error = np.sqrt(weights @ covariance @ np.array(weights))
        assert found[method, "forget_mia_auc"].standard_error == pytest.approx(error)
    weights = np.array([-0.5, -0.5, 0.5, 0.5])
    its = found["mine", "gap_forget_mia_auc"]
    assert (its.seeds, its.standard_error) == (2, pytest.approx(np.sqrt(weights @ covariance @ weights)))
    assert ("retrain", "gap_forget_mia_auc") not in found


def test_the_error_of_the_difference_is_that_of_drawing_the_images_again():
    rng = np.random.default_rng(1)
    members, non_members = scores(rng, 2)
    placements = [placement_values(a, b) for a, b in zip(members, non_members, strict=True)]
    found = errors_of([cell("retrain", 1), cell("mine", 1)], placements)["mine", "gap_forget_mia_auc"]
    drawn = []
    for _ in range(2000):
        a, b = rng.integers(MEMBERS, size=MEMBERS), rng.integers(NON_MEMBERS, size=NON_MEMBERS)
        drawn.append(np.subtract(*(membership_auc(members[m, a], non_members[m, b]) for m in (0, 1))))
    assert found.standard_error == pytest.approx(np.std(drawn), rel=0.1)


def test_seeds_that_say_the_same_of_every_image_leave_the_error_as_it_is():
    """More seeds do not make up for few images."""
    members, non_members = (side[0] for side in scores(np.random.default_rng(2), 1))
    same = placement_values(members, non_members)
    many = errors_of([cell("mine", seed) for seed in range(9)], [same] * 9)["mine", "forget_mia_auc"]
    assert many.standard_error == pytest.approx(membership_auc_standard_error(members, non_members))
    assert many.seeds == 9


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9), st.lists(st.integers(0, 5), min_size=2, max_size=9))
def test_the_mean_of_the_placement_values_of_either_side_is_the_area(members, non_members):
    members, non_members = np.array(members, float), np.array(non_members, float)
    for side in placement_values(members, non_members):
        assert side.mean() == pytest.approx(membership_auc(members, non_members))


def test_a_cell_without_scores_is_left_out_and_a_method_without_an_oracle_has_no_difference():
    its = placement_values(np.array([0.1, 0.9, 0.4]), np.array([0.2, 0.5]))
    found = errors_of([cell("mine", 1), cell("mine", 2), cell("retrain", 2)], [its, None, its])
    assert set(found) == {("mine", "forget_mia_auc"), ("retrain", "forget_mia_auc")}
    assert found["mine", "forget_mia_auc"].seeds == 1
