"""What sensors on the car measure of the simulated world."""
