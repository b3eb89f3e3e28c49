"""What torchrun or SLURM starts, held against what was asked for, before processes wait for others that never come."""

from __future__ import annotations

from collections.abc import Mapping

from pasco_core.errors import ConfigError

_INTERACTIVE = ("bash", "interactive")


def check_launcher(n_devices: int, n_nodes: int, environment: Mapping[str, str]) -> None:
    """Refuses numbers of processes that the launcher does not start. Within SLURM torchrun decides, where it is used.

    Args:
        n_devices: processes per machine, ``--devices``.
        n_nodes: machines, ``--nodes``.
        environment: variables of this process.

    Raises:
        ConfigError: the option, the variable and both numbers are named.
    """
    if "LOCAL_WORLD_SIZE" in environment:
        _compare(environment, "LOCAL_WORLD_SIZE", "--devices", n_devices)
        _compare(environment, "GROUP_WORLD_SIZE", "--nodes", n_nodes)
    elif "SLURM_PROCID" in environment and environment.get("SLURM_JOB_NAME") not in _INTERACTIVE:
        _compare(environment, "SLURM_NTASKS_PER_NODE", "--devices", n_devices)
        _compare(environment, "SLURM_NNODES", "--nodes", n_nodes)
        _compare(environment, "SLURM_NTASKS", "--devices times --nodes", n_devices * n_nodes)
        if n_devices * n_nodes > 1 and "SLURM_NTASKS_PER_NODE" not in environment:
            raise ConfigError("Expected the SLURM job to be started with --ntasks-per-node, got --ntasks alone")
    elif n_nodes > 1 and "MASTER_ADDR" not in environment:
        raise ConfigError(f"Expected --nodes {n_nodes} to be started by torchrun or SLURM on each machine, got neither")


def _compare(environment: Mapping[str, str], name: str, option: str, number: int) -> None:
    started = environment.get(name, str(number))
    if not started.isdecimal():
        raise ConfigError(f"Expected the environment's {name} to be a whole number, got {started!r}")
    if int(started) != number:
        raise ConfigError(f"Expected {option} to be {started}, as many as the launcher starts ({name}), got {number}")
