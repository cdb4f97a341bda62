"""A control, not unlearning: the model can no longer name the forget class, and nothing else is changed."""

import torch


class UnlearningMethod:
    """Lower the forget class's logit by ``shift``, once, in the bias of the last linear layer.

    The features stay as they were, so its score shows what the score gives without any erasure.

    Formula: bias of the last linear layer at the forget class -= shift
    Cost: none
    Defaults: shift 1000, far above any logit
    Deviations: none; the control is this project's own
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
