"""Archived footage becomes readable again. `job` has its steps, in their order."""
