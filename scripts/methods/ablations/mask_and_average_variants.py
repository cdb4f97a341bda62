"""Variants of `mask_and_average` that docs/own-method.md compares with it: each switch changes one thing."""

import torch
from methods.mask_and_average import UnlearningMethod as MaskAndAverage
from torch import nn
from torch.nn import functional as F


class UnlearningMethod(MaskAndAverage):
    """The method, with some of its parts replaced.

    batch_norm: "mixed" as in the method, "frozen" (the original model's statistics), "apart" (one pass per batch), or
    "retained" (retain images in a pass of their own, forget images with the running statistics, which come from retain
    images).
    retain: "labels" as in the method, "teacher" (the original model's softmax without the forget class), or "both".
    mixing: the largest share of another forget image that is mixed into each forget image.
    of_class: the share of the forget batch's mean target in the target of each image.
    sharpness: the factor on the original model's logits of forget images.
    before_dropout: the features are read before the dropout, where an evaluation reads them, and not behind it.
    """

    def __init__(
        self,
        *,
        batch_norm="mixed",
        retain="labels",
        mixing=0.0,
        of_class=0.0,
        sharpness=1.0,
        before_dropout=False,
        **settings,
    ):
        super().__init__(**settings)
        self.batch_norm = batch_norm
        self.retain = retain
        self.mixing = mixing
        self.of_class = of_class
        self.sharpness = sharpness
        self.before_dropout = before_dropout

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        self.forget_class = forget_batch[1][0]
        if self.mixing > 0:
            images, labels = forget_batch
            share = self.mixing * torch.rand(len(images), 1, 1, 1, device=images.device)
            others = images[torch.randperm(len(images), device=images.device)]
            forget_batch = images.lerp(others, share), labels
        return super().unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)

    def predict(self, model, *batches):
        if self.batch_norm == "frozen":
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        if self.batch_norm in ("apart", "retained"):
            passes = [self.predict_in_one_pass(model, batches[0])]
            model.train(self.batch_norm == "apart")
            passes.append(self.predict_in_one_pass(model, batches[1]))
            model.train()
            return tuple(torch.cat(parts) for parts in zip(*passes, strict=True))
        return self.predict_in_one_pass(model, *batches)

    def predict_in_one_pass(self, model, *batches):
        """Return features and logits as the method does, with the features from where this variant reads them."""
        if self.before_dropout:
            features = model.embed(torch.cat(batches))
            return features, model.head(model.dropout(features))
        return super().predict(model, *batches)

    def retain_loss(self, logits, images, labels):
        losses = []
        if self.retain in ("labels", "both"):
            losses.append(super().retain_loss(logits, images, labels))
        if self.retain in ("teacher", "both"):
            with torch.no_grad():
                masked = self.original(images).index_fill(1, self.forget_class, -torch.inf)
            losses.append(F.kl_div(F.log_softmax(logits, dim=1), F.softmax(masked, dim=1), reduction="batchmean"))
        return sum(losses)

    def targets(self, images, labels):
        targets = super().targets(images, labels)
        if self.sharpness != 1:
            targets = F.normalize(targets.pow(self.sharpness), p=1, dim=1)
        return targets.lerp(targets.mean(dim=0, keepdim=True), self.of_class)
