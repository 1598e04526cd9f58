"""A Dask cluster of processes on this computer."""

import pytest


def local_cluster(workers=2, *, threads_per_worker=1):
    """The cluster, as a context manager; a test is skipped where Dask is not installed."""
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=threads_per_worker,
        processes=True,
        dashboard_address=":0",
    )
