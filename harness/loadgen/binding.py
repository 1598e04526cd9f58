"""MLPerf's LoadGen as its package binds it, which the extra ``loadgen`` brings.

Raises:
    DnaError: on import, where it is not installed.
"""

from sw.host.extras import needs

with needs("loadgen", "MLPerf's LoadGen"):
    import mlperf_loadgen

__all__ = ["mlperf_loadgen"]
