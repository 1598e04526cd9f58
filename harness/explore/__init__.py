"""A sweep over configurations: cycles of the cycle model against the estimated area of each.

``space`` says which configurations, ``evaluate`` models one, ``state`` keeps what was found,
``results`` compares, ``picture`` draws.
"""
