"""A control: forget everything, and train anew on the retain set within the budget of unlearning."""

from torch.nn import functional as F

from unlearning.models import initialise


class UnlearningMethod:
    """Draw all weights anew at the first step, then train on the retain set.

    Nothing of the original model is left, so the forget class is erased for certain. It is the control of the budget:
    what the same images, steps and optimizer reach without the original model. The oracle is trained from scratch too,
    but with the optimizer, the schedule and the many more steps of pretraining.

    Formula: at the first step, weights and running statistics as in a new model; CE(retain) in this and every step
    Cost: 1 forward and 1 backward per step
    Source: this project's own control. It is retraining (EU-k with every layer of the network reset, in the terms of
        Goel et al., "Towards Adversarial Evaluations for Inexact Machine Unlearning", 2022, not verified)
    Defaults: none to choose
    Deviations: none. The weights are drawn as those of every new model here. Adam has no moments yet at the first step.
    When to use: never to unlearn; compare every other row with it. A method that keeps no more of the retained classes
        than this control does is not worth its risk of leaving something behind.
    """

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 0 and step == 0:
            initialise(model)
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}
