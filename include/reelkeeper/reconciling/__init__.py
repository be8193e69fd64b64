"""What a store holds, held against what the catalogue says. `job` has its steps, in their order."""
