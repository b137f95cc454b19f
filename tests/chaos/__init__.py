"""Kill every part of a search at random moments, and compare what comes out with a search that had peace."""
