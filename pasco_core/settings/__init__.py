"""The parameters of node and replay: one typed table of names, defaults, ranges, choices and descriptions."""
