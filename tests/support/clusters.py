"""A Dask cluster of processes on this computer."""

import distributed


def local_cluster(workers=2, *, threads_per_worker=1):
    """The cluster, as a context manager."""
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=threads_per_worker,
        processes=True,
        dashboard_address=":0",
    )
