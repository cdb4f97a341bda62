"""Whether the saved weights give the answers that the model gave."""

import pytest
import torch

from unlearning.runner.answers import differs_from_its_weights

NAN = float("nan")


@pytest.mark.parametrize(("last", "is_lost"), [((9.0, 9.0), False), ((9.05, 9.0), False), ((9.5, 9.0), True)])
def test_rounding_is_no_effect(last, is_lost):
    answers, of_weights = (torch.tensor([0.0, logit]) for logit in last)
    assert (differs_from_its_weights(answers, of_weights) is not None) == is_lost


def test_weights_that_give_no_finite_answer_are_another_failure():
    assert differs_from_its_weights(torch.tensor([1.0]), torch.tensor([NAN])) is None
    assert differs_from_its_weights(torch.tensor([NAN]), torch.tensor([1.0])) is not None
