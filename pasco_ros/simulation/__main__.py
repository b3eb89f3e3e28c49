"""``python -m pasco_ros.simulation``: the simulated town publishes clouds, images, odometry and transforms."""

if __name__ == "__main__":
    # Here, because the processes that compute ahead import this module too, and need no ROS.
    from pasco_ros.simulation.simulated_town import main

    raise SystemExit(main())
