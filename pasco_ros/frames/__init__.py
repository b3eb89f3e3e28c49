"""Where the sensors are, by /tf or by parameter, and the clock that dates it."""
