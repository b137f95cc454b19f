"""Convert published data sets to items: pure functions from a row of theirs to an item of ours.

Only `rows` and `extras` read files, nothing here writes. What is wrong with a row is a value, `Fault`,
that is counted and shown; no row disappears in silence.
"""
