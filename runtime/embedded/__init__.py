"""Real, tiny language models that run anywhere: task, training, inference and an OpenAI-compatible server."""
