"""What happens to messages when they arrive."""
