"""Footage leaves when its time is over and never before. `job` has its steps; `deleting` is the engine of deletion."""
