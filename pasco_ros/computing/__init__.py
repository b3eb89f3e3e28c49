"""The model, the thread it runs in, and one cloud's way through it."""
