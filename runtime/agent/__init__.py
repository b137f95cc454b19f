"""The search agent: a language model that writes guidelines and proposes allocations, and may be anything."""
