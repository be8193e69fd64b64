"""The embedded estate: every server from wheels, footage made on the spot, and the main job run on them."""
