"""What all tests share: a DDS domain of their own, few threads, and the data that is not part of the repository."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

import pytest

from pasco_core.threads import SPIN_COUNT

ROOT = Path(__file__).resolve().parent.parent
FIRST_DOMAIN, LAST_DOMAIN = 1, 100  # above 101 the ports of a domain run into those that Linux gives to other programs


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module imports torch or rclpy: both read their environment once."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # the count alone: tests run many processes beside each other
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    profile_variable = "FASTRTPS" if os.environ.get("ROS_DISTRO") in ("humble", "jazzy") else "FASTDDS"
    os.environ[f"{profile_variable}_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds_profile.xml")
    config.stash[_DOMAIN] = _reserve_domain()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _DOMAIN in config.stash:
        config.stash[_DOMAIN].close()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public sample data beside the checkout; tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("sample data not there: no folder ../shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def kitti_velodyne(shared_data: Path) -> Path:
    """Folder with real KITTI scans."""
    folder = shared_data / "semantickitti" / "dataset" / "sequences" / "00" / "velodyne"
    if not any(folder.glob("*.bin")):
        pytest.skip("sample data not there: no *.bin in ../shared/data/semantickitti/dataset/sequences/00/velodyne")
    return folder


_DOMAIN = pytest.StashKey[IO[str]]()


def _reserve_domain() -> IO[str]:
    """Sets ROS_DOMAIN_ID to a number that no other run of these tests uses now; returns the lock."""
    first = os.getpid() % LAST_DOMAIN
    for offset in range(LAST_DOMAIN):
        domain = FIRST_DOMAIN + (first + offset) % LAST_DOMAIN
        try:
            lock = open(Path(tempfile.gettempdir()) / f"pasco_test_domain_{domain}", "a")  # noqa: SIM115
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        return lock
    raise pytest.UsageError(f"Expected one of the ROS domains {FIRST_DOMAIN} to {LAST_DOMAIN} to be free")
