"""LoTUS: Spartalis et al., "LoTUS: Large-Scale Machine Unlearning with a Taste of Uncertainty", CVPR 2025."""

import copy

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F


class UnlearningMethod:
    """Teach the original model's answers, made the flatter for forget images the more of these are still right.

    The target of a retain image is a class drawn from the original model's softmax; of a forget image it is the
    original model's answer with noise, at a temperature. While the model still names the forget class for a third of
    its images or more, the temperature is so high that the target is uniform. At an accuracy of 0 it is 1.

    Formula: CE(target, model) over the images of both sets, the logits z being the original model's and g Gumbel noise:
        target = one-hot of argmax(z + g) on retain images, softmax((z + g) / exp(alpha * a)) on forget images;
        a = the model's accuracy on forget images at the end of the epoch before. Without a forget step: retain images
        alone
    Cost: 2 forwards and 1 backward per step (1 of the forwards is the original model's), 4 and 2 in a forget step, and
        1 forward more in each of the last steps of an epoch, which measure a over one pass of the forget set
    Source: github.com/cspartalis/LoTUS, src/unlearning_methods/lotus_class.py at 35ae25e;
        src/bash_scripts/class_reproduce_results.sh there has alpha 32 for classes. The paper was not read.
    Defaults: the authors' for classes: alpha 32 (8 and 2 for random images), and one pass over the forget set per
        epoch. With forget_pass always, which is ours, every step is a forget step.
    Deviations: a full pass over the retain set per epoch, the authors draw 30 % of it once: a forget image meets 9
        retain images with 10 balanced classes, in theirs 2.7. One fixed learning rate of Adam, 10 times theirs (AdamW
        1e-4, weight decay 5e-4, 10 epochs). a is counted in the last steps of an epoch, while the weights still move,
        and in the first epoch on the first forget batch. They end early if a is .01 below its goal, but for a class the
        goal is 0, so they never do; a is not rounded here.
    When to use: for random images, whose accuracy is to come down to that of unseen images, as the authors do. For a
        class it stops half-way: a uniform target makes the class equal to the others, not less than they, and near an
        accuracy of 0 the target is the original model's answer, which teaches the class again. In the authors' own
        results for classes (notebooks/results_class.ipynb) forget accuracies of .14 to .39 are left. With forget_pass
        always, a goes up and down from epoch to epoch, and the last epoch decides: see forget_accuracy in history.csv.
    """

    def __init__(self, *, alpha, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.alpha = alpha
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.original = self.accuracy = None
        self.are_right = []

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
            self.are_right.append(are_right(self.original, *forget_batch))
        if step == 0 and self.are_right:
            self.accuracy, self.are_right = torch.cat(self.are_right).mean(), []
        images, forget_images = retain_batch[0], forget_batch[0]
        targets = self.targets(images, hard=True)
        if is_forget_turn(step, *self.sizes, self.forget_pass):
            images = torch.cat([images, forget_images])
            targets = torch.cat([targets, self.targets(forget_images, (self.alpha * self.accuracy).exp())])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        steps_per_epoch, steps_per_forget_pass = self.sizes
        if step >= steps_per_epoch - steps_per_forget_pass:
            self.are_right.append(are_right(model.eval(), *forget_batch))
            model.train()
        return {"loss": loss, "forget_accuracy": self.accuracy}

    @torch.no_grad()
    def targets(self, images, temperature=1, hard=False):
        """Return a distribution over the classes for each image, (B, classes): one-hot if ``hard``."""
        return F.gumbel_softmax(self.original(images), temperature, hard)


@torch.no_grad()
def are_right(model, images, labels):
    """Return 1.0 for each image that ``model`` gives its label, else 0.0."""
    return (model(images).argmax(dim=1) == labels).float()
