"""A control, not unlearning: the model can no longer name the forget class, and nothing else is changed."""

import torch


class UnlearningMethod:
    """Lower the forget class's logit by ``shift``, once, in the bias of the last linear layer.

    The features stay as they were, so its score shows what the score gives without any erasure.

    Formula: bias of the last linear layer at the forget class -= shift
    Cost: none
    Source: this project's own. Published since as a diagnostic, BiasShift: Zheng et al., "Classification-Head Bias in
        Class-Level Machine Unlearning", arXiv 2605.08730, 2026; github.com/zwd2024/Beyond-the-Shadow-of-Bias-From-
        Classification-Head-Bias-to-Parameter-Redistribution, Unlearn/BiasShift.py at 2461ac3 does the same.
    Defaults: shift 1000, far above any logit; ours
    Deviations: none
    When to use: never to unlearn; compare every other row with it
    """

    def __init__(self, *, shift):
        self.shift = shift
        self.is_done = False

    @torch.no_grad()
    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if not self.is_done:
            head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
            head.bias[forget_batch[1][0]] -= self.shift
            self.is_done = True
        return {"loss": 0.0}
