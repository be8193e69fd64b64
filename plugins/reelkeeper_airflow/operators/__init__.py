"""Operators: one task each, around one function of the core. One module per kind of store, one per job.

`backend_of` gives the operators of a store's kind, from the module that is named like the kind.
"""
