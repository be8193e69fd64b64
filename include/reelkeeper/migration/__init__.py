"""The migration of footage to the cloud. `job` has its steps, in their order."""
