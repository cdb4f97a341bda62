"""L1-sparse: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023."""

from torch.nn import functional as F


class UnlearningMethod:
    """Fine-tune on the retain set while pulling all weights to zero: a sparser model has less room to remember.

    Formula: CE(retain) + alpha * max(0, 1 - epoch / decay_epochs) * sum of |w| over all weights
    Cost: 1 forward and 1 backward per step
    Source: github.com/OPTML-Group/Unlearn-Sparse, unlearn/FT.py at 80ba55d for the loss and its decay, README.MD for 10
        epochs of SGD at 0.01. Their alpha is unknown: the README leaves it open, and the default of the argument, 0.2,
        is shared with other methods. Others ran the method at 1e-4 (github.com/JingWu321/Scissorhands,
        Classification/sh/main_cls0_svhn.sh at 73ae065). The paper's own value is not verified.
    Defaults: decay_epochs 10 is the authors' number of epochs; alpha 1e-5 is ours. Adam moves each weight by the
        learning rate even if the gradient is small, so that at 1e-4 the pull would be stronger than the loss on most
        weights of a large model.
    Deviations: the pull ends after decay_epochs; the authors end it together with the unlearning, but a method does not
        know how long the unlearning is
    When to use: in place of retain_finetune, at the same cost, where plain fine-tuning leaves too much behind
    """

    def __init__(self, *, alpha, decay_epochs):
        self.alpha = alpha
        self.decay_epochs = decay_epochs

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        images, labels = retain_batch
        alpha = self.alpha * max(0.0, 1 - epoch / self.decay_epochs)
        optimizer.zero_grad()
        retain_loss = F.cross_entropy(model(images), labels)
        norm = sum(parameter.abs().sum() for parameter in model.parameters())
        loss = retain_loss + alpha * norm
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss, "l1_norm": norm}
