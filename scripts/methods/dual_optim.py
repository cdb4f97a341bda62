"""DualOptim: Zhong et al., "Enhancing Efficacy and Stability in Machine Unlearning with Dual Optimizers", 2025."""

import inspect

from methods import (
    bad_teacher,
    boundary_shrink,
    delete,
    fanchuan,
    neggrad_plus,
    npo,
    random_label,
    salun,
    scrub,
    scrub_authors,
    sfron,
    trew,
)
from methods.shared.moments import StepsWith
from methods.shared.schedule import ALWAYS, is_forget_turn

WITH_A_STEP_PER_LOSS = (fanchuan, scrub, scrub_authors, sfron)
WITH_ONE_STEP_FOR_BOTH = (bad_teacher, boundary_shrink, delete, neggrad_plus, npo, random_label, salun, trew)


class UnlearningMethod:
    """Another method here, the hyperparameter ``method``, whose forget steps have moments of their own.

    The gradients of the forget and of the retain loss point in different directions. In one optimizer each disturbs the
    averages that the other's next step is made of. So the optimizer's moments are exchanged before a forget step and
    after it. A method that steps on the sum of both losses takes two steps in its place: one without retain images,
    then one without forget images.

    Formula: that of ``method``; Adam's averages of gradients and of their squares, and its count of steps, are kept
        separately for steps whose gradients come from forget images, and for all others
    Cost: that of ``method``
    Source: github.com/CityU-MLO/DualOptim, ImageClassification/unlearn/sfron.py at a95ef74, for sfron and its settings
        (also ImageClassification/arg_parser.py); RL.py, scrub.py and impl.py in the same folder, for salun and scrub.
        Not verified: the paper's text (arXiv 2504.15827).
    Defaults: sfron, of the three methods that the authors wrap the one whose two kinds of steps alternate as here, with
        the authors' settings; dual_optim_salun is their SalUn
    Deviations: both kinds of steps are Adam's, at the one fixed learning rate and without weight decay. The authors'
        forget steps are AdamW's (weight decay 0.05), their retain steps SGD's at 0.01 (dual_as) or AdamW's at 0.0001
        (dual_aa), and the forget steps' learning rate is searched. With moments of their own, Adam's steps do not
        depend on the weight of a loss: forget_weight of sfron only decays, retain_weight and beta of others say
        nothing. In salun and scrub the authors pass over the forget set and then over the retain set; here the steps
        alternate. As in their code, forget images have a pass of their own, also through batch norm.
    When to use: when a method that alternates, or adds, two losses is unstable. In sfron, weights outside the mask no
        longer drift in a forget step. Of the methods with two losses, those cannot be wrapped whose forget loss needs
        retain images (mask_and_average, munba, uam) or whose two losses have a forward pass each (negative_gradient).
    """

    def __init__(
        self,
        *,
        method,
        retain_images,
        forget_images,
        steps_per_epoch,
        steps_per_forget_pass,
        **hyperparameters,
    ):
        self.method = method
        make = self._class()
        sizes = {
            "retain_images": retain_images,
            "forget_images": forget_images,
            "steps_per_epoch": steps_per_epoch,
            "steps_per_forget_pass": steps_per_forget_pass,
        }
        asked = {name: size for name, size in sizes.items() if name in inspect.signature(make).parameters}
        vars(self).update(vars(make(**asked, **hyperparameters)))
        self.turns = steps_per_epoch, steps_per_forget_pass, hyperparameters.get("forget_pass", ALWAYS)
        self.forget_moments = []

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        wrapped = object.__new__(self._class())
        wrapped.__dict__ = vars(self)  # all that it remembers is kept as this object's
        images, labels = forget_batch
        images = images.detach().requires_grad_()
        with StepsWith(images, optimizer, self.forget_moments) as taken:

            def unlearn(retain_batch, forget_batch):
                return wrapped.unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)

            if self.method in names(WITH_A_STEP_PER_LOSS) or not is_forget_turn(step, *self.turns):
                return unlearn(retain_batch, (images, labels))
            of_forget = unlearn(none_of(retain_batch), (images, labels))
            if not taken.steps:  # it only measures yet
                return of_forget
            of_retain = unlearn(retain_batch, none_of(forget_batch))
        return {
            "loss": of_retain.get("retain_loss", of_retain["loss"]),
            "forget_loss": of_forget.get("forget_loss", of_forget["loss"]),
        }

    def _class(self):
        modules = WITH_A_STEP_PER_LOSS + WITH_ONE_STEP_FOR_BOTH
        if self.method not in names(modules):
            raise ValueError(f"dual_optim: method is {self.method!r}; write one of {', '.join(sorted(names(modules)))}")
        return modules[names(modules).index(self.method)].UnlearningMethod


def names(modules):
    return [module.__name__.removeprefix("methods.") for module in modules]


def none_of(batch):
    """Return a batch of no images.

    A mean over them is not a number, but has no gradient. So a method whose loss is a sum of two means returns both.
    """
    images, labels = batch
    return images[:0], labels[:0]
