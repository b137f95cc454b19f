"""The searchers: who proposes the next allocations."""
