"""The node's settings as ROS 2 parameters: declared with ranges, validated on every change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import Field, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from pasco_core.errors import ConfigError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.parameter_files import check_name, parameter_files, read_parameter_file
from pasco_core.settings.setting import SettingsGroup
from pasco_core.settings.value_checks import check_config, check_value, plain_value

Settings = TypeVar("Settings", bound=SettingsGroup)


def declare_parameters(node: Node, arguments: Iterable[str], kind: type[SettingsGroup]) -> None:
    """Declare every parameter; refuse a start with names, sections or values that are not the node's.

    Args:
        node: the node, constructed with overrides from its command line.
        arguments: that command line, for its parameter files.
        kind: the node's settings.

    Raises:
        ConfigError: names the parameter, the rule and the value.
    """
    for path in parameter_files(list(arguments)):
        read_parameter_file(path, node.get_fully_qualified_name(), kind)
    for name in kind.names():
        try:
            node.declare_parameter(name, _default(kind.setting(name)), descriptor(kind.setting(name)))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            given = node._parameter_overrides[name].value
            check_value(name, given, kind)
            raise ConfigError(f"Expected parameter '{name}' to be valid, got {given!r}: {error}") from error
    # Overrides from "-p name:=value" come without a file; rclpy keeps them here and nowhere else.
    for name in node._parameter_overrides:
        check_name(name, "the command line", kind)
    check_config(read_config(node, kind))


def read_config(node: Node, kind: type[Settings]) -> Settings:
    """The present values of all parameters, checked one by one.

    Raises:
        ConfigError: a value that was given at the start breaks its rule.
    """
    values: dict[str, Any] = {}
    for name in kind.names():
        value = node.get_parameter(name).value
        check_value(name, value, kind)
        values[name] = plain_value(value)
    return kind(**values)


def descriptor(setting: Field) -> ParameterDescriptor:
    """Description, range and choices of a parameter, as `ros2 param describe` shows them."""
    details = setting.metadata
    result = ParameterDescriptor(description=details["description"])
    if details["low"] is not None and isinstance(setting.default, float):
        result.floating_point_range = [FloatingPointRange(from_value=details["low"], to_value=details["high"])]
    elif details["low"] is not None and isinstance(setting.default, int):
        result.integer_range = [IntegerRange(from_value=details["low"], to_value=details["high"], step=1)]
    constraints = [f"One of: {', '.join(details['choices'])}."] if details["choices"] else []
    constraints += ["Can be changed only before the node is configured."] if details["fixed"] else []
    result.additional_constraints = " ".join(constraints)
    return result


def change_checker(
    node: Node, configured: Callable[[], bool], accepted: Callable[[NodeConfig], None]
) -> Callable[[list[Parameter]], SetParametersResult]:
    """A callback for ``add_on_set_parameters_callback``: a change that breaks a rule is rejected, the old value stays.

    Args:
        node: the node whose parameters are declared.
        configured: whether the node is past configure, so that fixed parameters must not change.
        accepted: called with the new settings when a change is accepted.
    """

    def check(changes: list[Parameter]) -> SetParametersResult:
        config = read_config(node, NodeConfig)
        try:
            for change in changes:
                if change.name not in NodeConfig.names():
                    continue
                check_value(change.name, change.value, NodeConfig)
                if NodeConfig.setting(change.name).metadata["fixed"] and configured():
                    raise ConfigError(
                        f"Expected parameter '{change.name}' to be changed before configure only, got {change.value!r} "
                        "after it: call the cleanup transition first"
                    )
                config = replace(config, **{change.name: plain_value(change.value)})
            check_config(config)
        except ConfigError as error:
            node.get_logger().warning(f"Parameter rejected: {error}")
            return SetParametersResult(successful=False, reason=str(error))
        accepted(config)
        return SetParametersResult(successful=True)

    return check


def _default(setting: Field) -> object:
    return list(setting.default) if isinstance(setting.default, tuple) else setting.default
