"""What `pasco bench` and the GPU script measure; every figure is a ratio within one run."""
