"""Training with Lightning: experiments, data, the training loop, and what it leaves behind."""
