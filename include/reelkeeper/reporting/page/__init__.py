"""What the Estate page shows, made from figures and rows by pure functions: its template only lays it out.

Every value that is shown is worded here, so that a test can hold it against figures that were counted by hand.
"""
