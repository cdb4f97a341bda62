"""Mask the forget class, retrain towards what is left of it, and average the weights: this project's own method.

Its derivation, its ablations and what did not help are in docs/own-method.md.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

MEMORY = 0.9
"""How much of the features' statistics one step hands on to the next."""

TINY = 1e-12


def weights_of(model):
    """Return all weights and running statistics of ``model``, as the tensors that it computes with."""
    return [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]


class UnlearningMethod:
    """Give forget images what the original model says of them without their class, and end on an average of weights.

    A model that never saw the class would take its images for a mixture of others. Which mixture q, the original model
    knows: its softmax with the class crossed out, as in DELETE. Here not only the output has to follow it, which leaves
    the class in the features, but the penultimate features too: they move to the same mixture of the retained classes'
    mean features, between which no linear probe can see them. The optimizer's steps never shrink, so its last weights
    are noisy and cost accuracy. The optimizer therefore works on weights of its own, and the model is left with their
    average after each step: recent ones count most, and no end has to be known, since the weights of the average are
    t^recency.

    Formula: CE(retain) + KL(q || model) + feature_weight * |features - sum_c q_c mean_c|^2 / variance(retain features),
        q = (1 - flatness) * softmax(original logits with the label's own at minus infinity) + flatness * uniform over
        the other classes; the model's weights: average += (weights - average) * (1 + recency) / (steps + recency)
    Cost: 3 forwards and 2 backwards a step (the original model takes 1 forward of them)
    Defaults: recency 2.0, feature_weight 1.0 and flatness 0.0: faithful; mask_and_average_score has a flatness of 1.0
    Deviations: none, but that the average is not what the optimizer steps on; its settings are as given
    When to use: faithful for an unlearned model that is to be like the oracle. flatness 1.0 buys unlearn_score with
        forget images that look less familiar than unseen ones, which whoever turns the attack around finds
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
        self.show_average(shown)
        return {"loss": loss} | parts

    def begin(self, model):
        """Keep the original model, and begin both the optimizer's weights and their average with its own."""
        self.original = copy.deepcopy(model).eval()
        self.weights = [tensor.clone() for tensor in weights_of(model)]
        self.average = [tensor.clone() for tensor in weights_of(model)]

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
        """Return q, the classes (B, classes) that the original model sees in forget images beside their own."""
        masked = self.original(images).scatter(1, labels[:, None], -torch.inf)
        others = 1 - F.one_hot(labels, masked.shape[1]).to(masked.dtype)
        return (1 - self.flatness) * F.softmax(masked, dim=1) + self.flatness * others / others.sum(dim=1, keepdim=True)

    def statistics_of(self, features, labels, classes):
        """Return each class's mean feature (classes, width) and the features' variance, over the last retain batches.

        A class that was not seen yet has the mean 0.
        """
        members = F.one_hot(labels, classes).to(features.dtype).T
        statistics = [members.sum(dim=1, keepdim=True), members @ features, features.square().sum(dim=0)]
        if self.statistics is not None:
            statistics = [old.lerp(new, 1 - MEMORY) for old, new in zip(self.statistics, statistics, strict=True)]
        self.statistics = statistics
        counts, sums, squares = statistics
        variance = squares / counts.sum() - (sums.sum(dim=0) / counts.sum()).square()
        return sums / counts.clamp(min=TINY), variance.mean().clamp(min=TINY)

    def show_average(self, shown):
        """Take the optimizer's weights back from the model's tensors, and leave those with the average."""
        self.steps += 1
        torch._foreach_copy_(self.weights, shown)
        torch._foreach_lerp_(self.average, self.weights, (1 + self.recency) / (self.steps + self.recency))
        torch._foreach_copy_(shown, self.average)
