"""Starts the node, configured and active, and RViz on request.

ros2 launch pasco panoptic_scene_completion.launch.py topic:=/velodyne_points checkpoint:=pasco.safetensors
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from pasco_ros.shared_files import fastdds_environment

CONFIG = Path(__file__).parent.parent / "config"

ARGUMENTS = {
    "topic": ("/points", "input topic, sensor_msgs/PointCloud2"),
    "checkpoint": ("", "weights, a .safetensors file; empty: as in the parameter file"),
    "features_checkpoint": ("", "weights of the point features, for checkpoints that read them"),
    "device": ("", "cpu, cuda, cuda:N or auto; empty: as in the parameter file"),
    "params_file": (str(CONFIG / "panoptic_scene_completion.yaml"), "parameter file"),
    "namespace": ("", "namespace of the node"),
    "use_sim_time": ("false", "take the time from /clock, for recordings played with --clock"),
    "autostart": ("true", "configure and activate the node at once"),
    "rviz": ("false", "show the results in RViz"),
    "frame": ("velodyne", "fixed frame of RViz: the frame_id of the clouds"),
}

DISPLAYED = ("occupied_points", "instances", "occupancy_grid", "uncertainty_grid")


def make_node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The lifecycle node and, with autostart, the transitions that bring it up."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {name: values[name] for name in ("checkpoint", "features_checkpoint", "device") if values[name]}
    node = LifecycleNode(
        package="pasco",
        executable="panoptic_scene_completion",
        name="panoptic_scene_completion",
        namespace=values["namespace"],
        parameters=[values["params_file"], {"use_sim_time": values["use_sim_time"] == "true", **given}],
        remappings=[("points", values["topic"])],
        additional_env=fastdds_environment(CONFIG / "fastdds_profile.xml"),
        output="both",
        emulate_tty=True,
    )
    if values["autostart"] != "true":
        return [node]
    return [
        RegisterEventHandler(OnStateTransition(
            target_lifecycle_node=node, start_state="configuring", goal_state="inactive",
            entities=[change_state(node, Transition.TRANSITION_ACTIVATE)],
        )),
        node,
        change_state(node, Transition.TRANSITION_CONFIGURE),
    ]


def make_rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """RViz with the package's displays, whose topics are remapped to the node's."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    if values["rviz"] != "true":
        return []
    node = "/" + "/".join(part for part in (values["namespace"].strip("/"), "panoptic_scene_completion") if part)
    return [Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(CONFIG / "pasco.rviz"), "-f", values["frame"]],
        parameters=[{"use_sim_time": values["use_sim_time"] == "true"}],
        remappings=[("/points", values["topic"])]
        + [(f"/panoptic_scene_completion/{name}", f"{node}/{name}") for name in DISPLAYED],
        output="log",
    )]


def change_state(node: LifecycleNode, transition: int) -> EmitEvent:
    """Asks the node for a lifecycle transition."""
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    switches = ("use_sim_time", "autostart", "rviz")
    arguments = [
        DeclareLaunchArgument(
            name, default_value=default, description=text, choices=["true", "false"] if name in switches else None
        )
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_node), OpaqueFunction(function=make_rviz)])
