"""The demo: a player, the node and a recorder as separate processes, and what they leave behind."""
