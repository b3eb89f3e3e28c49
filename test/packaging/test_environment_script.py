"""scripts/env.sh: one place for the variables of everything that runs from the checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sourced():
    """Function that returns the variables after sourcing the script in bash with the given ones set before."""

    def source(before: dict[str, str], folder: Path = ROOT) -> dict[str, str]:
        command = ["bash", "-euc", f". '{ROOT}/scripts/env.sh'; env -0"]
        environment = {"PATH": os.environ["PATH"], **before}
        output = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
        return dict(entry.split("=", 1) for entry in output.split("\0") if entry)

    return source


def test_it_points_to_the_environment_of_its_own_checkout_from_any_folder(sourced, tmp_path):
    after = sourced({}, folder=tmp_path)
    assert after["VIRTUAL_ENV"] == after["AMENT_PREFIX_PATH"] == str(ROOT / ".venv")
    assert after["PATH"].startswith(f"{ROOT / '.venv' / 'bin'}:")


def test_the_fast_dds_profile_it_names_is_there(sourced):
    assert Path(sourced({})["FASTDDS_DEFAULT_PROFILES_FILE"]).samefile(ROOT / "config" / "fastdds_profile.xml")


def test_a_ros_installation_of_the_shell_is_put_aside_and_cuda_is_kept(sourced):
    after = sourced(
        {
            "AMENT_PREFIX_PATH": "/ws/install/robot:/opt/ros/jazzy",
            "CMAKE_PREFIX_PATH": "/opt/ros/jazzy",
            "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
            "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib:/usr/local/cuda/lib64:/ws/install/robot/lib:/opt/ros/jazzy/opt/lib",
            "ROS_DISTRO": "jazzy",
            "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
            "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        }
    )
    assert after["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert after["ROS_DISTRO"] == "kilted"
    gone = {"CMAKE_PREFIX_PATH", "PYTHONPATH", "RMW_IMPLEMENTATION", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    assert gone & set(after) == set()


def test_nothing_is_sent_to_other_machines_unless_asked_for(sourced):
    assert sourced({})["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert sourced({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_it_leaves_no_variables_of_its_own_behind(sourced):
    assert [name for name in sourced({}) if name.startswith("pasco_")] == []
    assert "LD_LIBRARY_PATH" not in sourced({})
