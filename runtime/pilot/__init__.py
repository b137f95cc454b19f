"""The paper's three insights, measured on a user's own pipeline: what to measure, and what it says."""
