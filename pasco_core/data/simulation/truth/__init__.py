"""What is in every voxel around the car, and what of it the drive can see."""
