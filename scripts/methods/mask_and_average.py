"""Mask the forget class, train towards the other classes' probabilities, and average the weights: our own method.

Its derivation, its ablations and what did not help are in docs/own-method.md.
"""

import copy

import torch
from methods.shared.averaging import begin_average, show_average, weights_of
from torch import nn
from torch.nn import functional as F

MEMORY = 0.9
"""The share of the features' statistics that one step hands on to the next."""

TINY = 1e-12


class UnlearningMethod:
    """Train forget images towards the original model's answers without their class, and average the weights.

    A model that never saw the class would take its images for a mixture of other classes. The original model knows this
    mixture q: its softmax without the class, as in DELETE. If only the output followed q, the class would stay in the
    features. So the penultimate features follow q too: they move to the same mixture of the retained classes' mean
    features, where a linear probe should not tell them apart (probes of few images still do: docs/own-method.md). The
    optimizer's steps never shrink, so its last weights are noisy and cost accuracy. The optimizer therefore works on
    its own weights, and after each step the model holds their average. Step t counts as t^recency: recent steps count
    most, and the number of steps need not be known.

    Formula: CE(retain) + KL(q || model) + feature_weight * |features - sum_c q_c mean_c|^2 / variance(retain features),
        q = (1 - flatness) * softmax(original logits with the label's own at minus infinity) + flatness * uniform over
        the other classes; the model's weights: average += (weights - average) * (1 + recency) / (steps + recency)
    Cost: 3 forwards and 2 backwards per step (1 of the forwards is the original model's)
    Source: this project's own (docs/own-method.md). The target q with flatness 0 is DELETE's:
        github.com/shaaaaron/DELETE, method/delete.py at 60018a1.
    Defaults: recency 2.0, feature_weight 1.0 and flatness 0.0, the faithful setting; mask_and_average_score has
        flatness 1.0
    Deviations: the weights of the model are an average, and not the weights that the optimizer steps on; the
        optimizer's settings are as given. The means of the classes are over the last ten batches or so: with 100
        classes, a batch of 128 has 1.3 images of a class, so the means are noisy, and 0 until a class was seen.
    When to use: the faithful setting if the unlearned model should be like the oracle. flatness 1.0 raises
        unlearn_score, but makes forget images look less familiar than unseen images, which an inverted attack finds.
    """

    def __init__(self, *, recency, feature_weight, flatness):
        self.recency = recency
        self.feature_weight = feature_weight
        self.flatness = flatness
        self.original = self.statistics = None
        self.steps = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.begin(model)
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        shown = weights_of(model)
        torch._foreach_copy_(shown, self.weights)
        optimizer.zero_grad()
        features, logits = self.predict(model, retain_images, forget_images)
        retained = len(retain_images)
        targets = self.targets(forget_images, forget_labels)
        retain_loss = self.retain_loss(logits[:retained], retain_images, retain_labels)
        forget_loss = F.kl_div(F.log_softmax(logits[retained:], dim=1), targets, reduction="batchmean")
        loss, parts = retain_loss + forget_loss, {"retain_loss": retain_loss, "forget_loss": forget_loss}
        if self.feature_weight > 0:
            means, variance = self.statistics_of(features[:retained].detach().float(), retain_labels, targets.shape[1])
            parts["feature_loss"] = F.mse_loss(features[retained:], targets @ means) / variance
            loss = loss + self.feature_weight * parts["feature_loss"]
        loss.backward()
        optimizer.step()
        self.steps += 1
        show_average(shown, self.weights, self.average, self.steps, self.recency)
        return {"loss": loss} | parts

    def begin(self, model):
        """Keep the original model, and start both the optimizer's weights and their average from it."""
        self.original = copy.deepcopy(model).eval()
        self.weights, self.average = begin_average(weights_of(model))

    def predict(self, model, *batches):
        """Return penultimate features and logits of the images of all batches, from one pass.

        Two passes would give half of the running statistics to one class.
        """
        head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        inputs = []
        with head.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0])):
            logits = model(torch.cat(batches))
        return inputs[0], logits

    def retain_loss(self, logits, images, labels):
        return F.cross_entropy(logits, labels)

    @torch.no_grad()
    def targets(self, images, labels):
        """Return q (B, classes): how much the original model sees of each other class in forget images."""
        masked = self.original(images).scatter(1, labels[:, None], -torch.inf)
        others = 1 - F.one_hot(labels, masked.shape[1]).to(masked.dtype)
        return (1 - self.flatness) * F.softmax(masked, dim=1) + self.flatness * others / others.sum(dim=1, keepdim=True)

    def statistics_of(self, features, labels, classes):
        """Return each class's mean feature (classes, width) and the features' variance, over the last retain batches.

        A class that was not seen yet has mean 0.
        """
        members = F.one_hot(labels, classes).to(features.dtype).T
        statistics = [members.sum(dim=1, keepdim=True), members @ features, features.square().sum(dim=0)]
        if self.statistics is not None:
            statistics = [old.lerp(new, 1 - MEMORY) for old, new in zip(self.statistics, statistics, strict=True)]
        self.statistics = statistics
        counts, sums, squares = statistics
        variance = squares / counts.sum() - (sums.sum(dim=0) / counts.sum()).square()
        return sums / counts.clamp(min=TINY), variance.mean().clamp(min=TINY)
