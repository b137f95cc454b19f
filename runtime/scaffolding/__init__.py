"""New pipelines: from a template that comes with agenttts, or from a few answers."""
