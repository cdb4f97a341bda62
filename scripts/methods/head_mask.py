"""A control, no unlearning: the forget class can no longer be named, and nothing else is changed."""

import torch


class UnlearningMethod:
    """Lower the forget class's logit by ``shift``, once, through the bias of the last linear layer.

    What the score gives for it is what the score gives for no erasure at all: the features stay as they were.

    Formula: bias of the last linear layer at the forget class -= shift
    Cost: none
    Defaults: shift 1000, which no logit comes near
    Deviations: none; it is this project's
    When to use: never to unlearn; read every other row against it
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
