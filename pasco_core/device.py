"""Where to compute."""

from __future__ import annotations

import torch

from pasco_core.errors import ConfigError


def usable_device(name: str) -> torch.device:
    """The device called ``name``.

    Raises:
        ConfigError: not a device name, or one this machine or this torch does not have.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"Expected the device to be 'cpu', 'cuda' or 'cuda:<index>', got {name!r}") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ConfigError(f"Expected the device to be 'cpu', 'cuda' or 'cuda:<index>', got {name!r}")
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= n_devices:
        raise ConfigError(f"Expected device {name!r} to be there, got a torch that sees {n_devices} CUDA devices")
    return device
