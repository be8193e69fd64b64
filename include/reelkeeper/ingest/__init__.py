"""Ingest: footage from landing zones into stores and catalogue. `job` has its steps, in their order."""
