"""Replicas looked at again. `job` has its steps, in their order."""
