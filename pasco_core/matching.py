"""One-to-one assignment of queries to targets with the lowest total cost."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pasco_core.errors import InferenceError


def match(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and the targets they are matched with, in the order of the queries.

    Args:
        cost: (Q, K); targets beyond the number of queries stay unmatched, the dearest; with none, the result is empty.

    Returns:
        queries, targets: (min(Q, K),) int64 on the cost's device.

    Raises:
        InferenceError: a cost that is not finite.
    """
    values = cost.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise InferenceError(f"Expected the matching costs to be finite, got {bad} of {values.size} with NaN or Inf")
    rows, columns = linear_sum_assignment(values)
    return tuple(torch.as_tensor(index, dtype=torch.int64, device=cost.device) for index in (rows, columns))
