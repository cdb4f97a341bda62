"""UNSIR: Tarun et al., "Fast Yet Effective Machine Unlearning", TNNLS 2023."""

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """Impair the model with noise that is the opposite of the forget class, then repair it on the retain set.

    The noise is learned at the first step, while the weights stay fixed: it makes the original model as wrong as
    possible. While ``epoch < impair_epochs``, the model trains on retain images and on the noise, labelled as the
    forget class. After that it trains on retain images alone.

    Formula: noise = argmin of noise_penalty * |noise|^2 - CE(original(noise), forget class); impair: CE over retain
        images and noise; repair: CE(retain)
    Cost: noise_steps forwards and backwards once; 2 forwards and 2 backwards per step of impairing; then 1 and 1
    Source: github.com/vikram2000b/Fast-Machine-Unlearning, Machine%20Unlearning.ipynb at 252bc92, for all settings
    Defaults: the authors' notebook: 5 x 8 = 40 steps of Adam at 0.1, noise_penalty 0.1, one epoch of impairing
    Deviations: one fixed learning rate; the authors impair at 0.02 and repair at 0.01. All retain images are used, and
        each comes once per epoch with the whole noise, half of every mini-batch; the authors take 1000 images of each
        class and 20 copies of the noise, 36 % of an epoch that is six times shorter. (Their loop runs over the 3
        channels of the first noise image in place of the 256 images, so that only 3 of them are used, 20 times each.)
        Repair continues for all further epochs; the authors need one. Noise is learned in eval mode, theirs in train
        mode.
    When to use: when the forget images are already deleted: it reads only their labels and their shape. How much is
        forgotten depends on a single batch of noise.
    """

    def __init__(self, *, noise_steps, noise_learning_rate, noise_penalty, impair_epochs):
        self.noise_steps = noise_steps
        self.noise_learning_rate = noise_learning_rate
        self.noise_penalty = noise_penalty
        self.impair_epochs = impair_epochs
        self.noise = None
        self.noise_labels = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        images, labels = retain_batch
        if epoch < self.impair_epochs:
            if self.noise is None:
                self.noise, self.noise_labels = self._learn_noise(model, *forget_batch), forget_batch[1].clone()
            images, labels = torch.cat([images, self.noise]), torch.cat([labels, self.noise_labels])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    def _learn_noise(self, model, images, labels):
        model.eval()
        noise = torch.randn_like(images).requires_grad_()
        noise_optimizer = torch.optim.Adam([noise], lr=self.noise_learning_rate)
        for _ in range(self.noise_steps):
            size = noise.square().sum(dim=(1, 2, 3)).mean()
            loss = self.noise_penalty * size - F.cross_entropy(model(noise), labels)
            (noise.grad,) = torch.autograd.grad(loss, [noise])
            noise_optimizer.step()
        model.train()
        return noise.detach()
