"""From an observation to a plan: evidence, candidates, refusals, merges."""
