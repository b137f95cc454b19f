"""A fault server: an OpenAI-compatible endpoint with a provider's bad moods, all of them seeded."""
