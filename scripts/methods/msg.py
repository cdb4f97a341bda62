"""MSG, masked small gradients: Lee, Bae and Kim, winners of a prize in the NeurIPS 2023 unlearning challenge."""

import torch
from methods.shared.schedule import is_measuring
from torch import nn
from torch.nn import functional as F


class UnlearningMethod:
    """Draw anew those convolution weights whose gradients on both sets are alike, then fine-tune on the retain set.

    If a weight has the same gradient on retain and forget images, training on retain images cannot make it forget. So
    in each convolution the share ``fresh_share`` of the weights with the smallest difference of gradients is drawn
    anew. The other weights of the convolutions are slowed down: they are to keep what they know, while the new ones
    learn.

    Formula: G = sum over the first steps of grad CE(retain) - grad CE(forget), at the original weights; in each
        convolution round(fresh_share * n) of n weights with the smallest |G| ~ N(0, 2 / fan-out); then CE(retain), and
        after each step of the optimizer w = before + rest_speed * (w - before) for the other weights of convolutions
    Cost: 2 forwards and 2 backwards per step while it measures (one pass over the forget set), then 1 and 1
    Source: the authors' text, kaggle.com/c/neurips-2023-machine-unlearning/discussion/459200 ("3rd place solution" by
        Kookmin University: 30 %, a tenth, as many retain as forget images), read in a copy; their code in
        github.com/xcadet/deepunlearn, munl/unlearning/kgltop2.py at 6830ff6 (init_rate 0.3, mask 0.1). Its name, and
        its place next to ct as one of the two best of 18 methods, are those of Cadet et al., "Deep Unlearn", 2024
        (arXiv 2410.01276): the abstract was read, the tables of ranks were not.
    Defaults: authors' text and code: fresh_share 0.3, rest_speed 0.1
    Deviations: the authors multiply the gradients of the other weights by 0.1, which with their SGD is a tenth of the
        step; Adam divides such a factor out, so the step itself is shortened here. One fixed learning rate for the
        whole budget; theirs is SGD at 0.001, momentum 0.9, weight decay 5e-4, 5 epochs, and rises for 3 epochs before
        it falls. G is measured in eval mode, so that the running statistics stay as they are; the code above does not
        set a mode. The smallest are chosen in each layer, as in the code above; the authors' text says globally.
    When to use: where retain_finetune leaves too much of the class in the features. Batch norms, the head and the
        biases keep their weights. A small model has little to spare: look at retain_acc.
    """

    def __init__(self, *, fresh_share, rest_speed, steps_per_epoch, steps_per_forget_pass):
        self.fresh_share = fresh_share
        self.rest_speed = rest_speed
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.gradients = None
        self.are_fresh = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
        if is_measuring(step, epoch, *self.sizes):
            losses = self._add_gradients(model.eval(), weights, retain_batch, forget_batch)
            model.train()
            return losses
        if self.are_fresh is None:
            self.are_fresh, self.gradients = self._draw_anew(weights), None
        images, labels = retain_batch
        before = [weight.detach().clone() for weight in weights]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        self._slow_down_the_rest(weights, before)
        return {"loss": loss}

    def _add_gradients(self, model, weights, retain_batch, forget_batch):
        if self.gradients is None:
            self.gradients = [torch.zeros_like(weight) for weight in weights]
        retain_loss, forget_loss = (
            F.cross_entropy(model(images), labels) for images, labels in (retain_batch, forget_batch)
        )
        gradients = torch.autograd.grad(retain_loss - forget_loss, weights)
        torch._foreach_add_(self.gradients, gradients)
        return {"loss": retain_loss, "forget_loss": forget_loss}

    @torch.no_grad()
    def _draw_anew(self, weights):
        """Draw the weights with the smallest gradients anew, and return masks in which these weights are True."""
        masks = []
        for weight, gradient in zip(weights, self.gradients, strict=True):
            smallest = gradient.abs().flatten().argsort()[: round(self.fresh_share * weight.numel())]
            mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
            mask[smallest] = True
            masks.append(mask.view(weight.shape))
            drawn = nn.init.kaiming_normal_(torch.empty_like(weight), mode="fan_out", nonlinearity="relu")
            weight.copy_(torch.where(masks[-1], drawn, weight))
        return masks

    @torch.no_grad()
    def _slow_down_the_rest(self, weights, before):
        for weight, old, is_fresh in zip(weights, before, self.are_fresh, strict=True):
            weight.copy_(torch.where(is_fresh, weight, old.lerp(weight, self.rest_speed)))
