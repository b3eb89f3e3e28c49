"""How OpenMP's threads are told to wait."""

from __future__ import annotations

import pytest

from pasco_core.threads import SPIN_COUNT, wait_briefly


def test_threads_spin_briefly_also_where_there_are_more_of_them_than_cores():
    environment = {"PATH": "/bin"}
    wait_briefly(environment)
    assert environment == {"PATH": "/bin", "OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": SPIN_COUNT}


@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "PASSIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_what_a_user_has_set_stays(given):
    environment = dict(given)
    wait_briefly(environment)
    assert environment == given
