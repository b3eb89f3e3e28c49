"""From scenes to messages, and what publishes them."""
