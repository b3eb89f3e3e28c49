"""A stream of clouds: the rules that the node and the replay of a recording share."""
