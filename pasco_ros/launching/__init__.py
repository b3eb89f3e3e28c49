"""What the launch files share: their arguments, and what follows from them."""
