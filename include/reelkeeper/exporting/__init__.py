"""Footage for people: cut out exactly, proved, delivered. `job` has its steps, in their order."""
