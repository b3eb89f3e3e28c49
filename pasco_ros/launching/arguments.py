"""The arguments of the launch files; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass

SWITCH = ("true", "false")


@dataclass(frozen=True)
class Argument:
    """One argument of a launch file.

    Args:
        default: value where none is given.
        text: what it does, for ``ros2 launch --show-args``.
        choices: the values that are allowed; none: any.
    """

    default: str
    text: str
    choices: tuple[str, ...] = ()


ONE_LIDAR = {
    "topic": Argument("/points", "input topic, sensor_msgs/PointCloud2"),
}
SEVERAL_LIDARS = {
    "topics": Argument("[/front/points, /rear/points]", "topics of the LiDARs, whose clouds are joined to the first's"),
    "poses": Argument(
        "", "without base_frame: where each LiDAR is mounted, seen from the ground below the vehicle, x y z [m] "
        "roll pitch yaw [rad], one after the other: [1.0, 0.0, 1.73, 0.0, 0.0, 0.0, -1.0, ...]"),
}
COMMON = {
    "checkpoint": Argument("", "weights, a .safetensors file; empty: as in the parameter file"),
    "features_checkpoint": Argument("", "weights of the point features, for checkpoints that read them"),
    "device": Argument("", "cpu, cuda, cuda:N or auto; empty: as in the parameter file"),
    "camera_topics": Argument(
        "[]", "image topics of cameras, [/front/image_raw, ...]; their places come from base_frame's /tf or the "
        "parameter file"),
    "base_frame": Argument("", "frame of the vehicle in /tf; empty: as in the parameter file"),
    "params_file": Argument("", "parameter file of the node; empty: the package's, with all defaults"),
    "namespace": Argument("", "namespace of the node"),
    "use_sim_time": Argument("auto", "take the time from /clock; auto: with bag and sim", ("auto", *SWITCH)),
    "autostart": Argument("true", "the node configures and activates itself, after a respawn too", SWITCH),
    "respawn": Argument("true", "start the node again when it has died", SWITCH),
    "respawn_delay": Argument("2.0", "seconds until then"),
    "bag": Argument("", "recording to play with its clock; starts when the node is active"),
    "loop": Argument("false", "play the recording again and again", SWITCH),
    "rate": Argument("1.0", "speed of the recording"),
    "sim": Argument("false", "drive through the simulated town, with /clock, /tf and a camera", SWITCH),
    "sim_params_file": Argument("", "parameter file of the simulated town; empty: the package's, with all defaults"),
    "rviz": Argument("false", "show the results in RViz", SWITCH),
    "frame": Argument("", "fixed frame of RViz; empty: odom with sim, else base_frame, else velodyne"),
}
