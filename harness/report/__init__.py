"""The report of a compiled network: what the modelled machine scores, and where the cycles go.

``figures`` computes, ``memory_use`` follows the feature memory, ``page`` writes HTML, ``trace`` a
trace for Perfetto.
"""
