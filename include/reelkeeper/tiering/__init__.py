"""Footage moves to colder tiers as it grows older. `job` has its steps, in their order."""
