"""From a plan to the actions of ROS 2 launch; only launch files import this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from pasco_core.settings.node_config import NODE_NAME
from pasco_ros.launching.arguments import Argument
from pasco_ros.launching.plan import Plan, make_plan
from pasco_ros.shared_files import fastdds_environment, shared_file


def describe(arguments: Mapping[str, Argument]) -> LaunchDescription:
    """A launch file with these arguments."""

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        values = {name: LaunchConfiguration(name).perform(context) for name in arguments}
        return actions(make_plan(values), values)

    declared = [
        DeclareLaunchArgument(name, default_value=a.default, description=a.text, choices=list(a.choices) or None)
        for name, a in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def actions(plan: Plan, values: Mapping[str, str]) -> list[LaunchDescriptionEntity]:
    """Everything that a plan starts, in this order."""
    common: dict[str, Any] = {"additional_env": fastdds_environment(shared_file("config/fastdds_profile.xml"))}
    node = LifecycleNode(
        package="pasco", executable=NODE_NAME, name=NODE_NAME, namespace=values["namespace"],
        parameters=[str(plan.params_file), {"use_sim_time": plan.use_sim_time, **plan.parameters}],
        remappings=[("points", plan.topics[0])],
        respawn=plan.respawn_delay is not None, respawn_delay=plan.respawn_delay,
        output="both", emulate_tty=True, **common,
    )
    started: list[LaunchDescriptionEntity] = [node]
    if plan.simulation is not None:
        started.append(Node(
            package="pasco", executable="simulated_town", name="simulated_town", output="both", emulate_tty=True,
            parameters=[str(plan.sim_params_file), plan.simulation], **common,
        ))
    if plan.bag:
        player = ExecuteProcess(cmd=list(plan.bag), output="both", **common)
        # Once: a node that is respawned finds the recording where it is by then.
        when_active = OnStateTransition(
            target_lifecycle_node=node, goal_state="active", entities=[player], handle_once=True
        )
        started.insert(0, RegisterEventHandler(when_active))
    if plan.layout is not None:
        started.append(Node(
            package="rviz2", executable="rviz2", arguments=["-d", str(plan.layout), "-f", plan.frame], output="log",
            parameters=[{"use_sim_time": plan.use_sim_time}], remappings=list(plan.shown.items()),
        ))
    return started
