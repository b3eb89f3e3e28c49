"""Where the package's configuration files are, and the environment that makes Fast DDS use ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pasco_core.errors import ConfigError

_NEW_NAME, _OLD_NAME = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
_OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")
_LAST_OLD_RCLPY = 7  # major version in Jazzy


def shared_file(relative: str) -> Path:
    """A file of the package, in the source tree or in the installed share folder.

    Args:
        relative: such as ``config/fastdds_profile.xml``.

    Raises:
        ConfigError: it is in neither place.
    """
    places = [Path(__file__).parent.parent]
    try:
        from ament_index_python.packages import get_package_share_directory

        places.append(Path(get_package_share_directory("pasco")))
    except (ImportError, LookupError, OSError):
        pass
    for place in places:
        if (place / relative).is_file():
            return place / relative
    raise ConfigError(f"Expected {relative} to be in {' or '.join(map(str, places))}, got no such file")


def fastdds_environment(profile: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that make a process use a Fast DDS profile, under the name its ROS distribution reads.

    Args:
        profile: the XML file.
        environment: the present variables; a profile that is set there already is kept.
    """
    environment = os.environ if environment is None else environment
    if environment.get(_NEW_NAME) or environment.get(_OLD_NAME):
        return {}
    return {_OLD_NAME if _is_old(environment.get("ROS_DISTRO", "")) else _NEW_NAME: str(profile)}


def _is_old(distribution: str) -> bool:
    """Whether the ROS distribution, or the rclpy installed as a wheel where none is set, reads the old name only."""
    if distribution:
        return distribution in _OLD_DISTRIBUTIONS
    try:
        return int(metadata.version("ros-rclpy").split(".")[0]) <= _LAST_OLD_RCLPY
    except metadata.PackageNotFoundError:
        return False
