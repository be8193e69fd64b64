"""What a recording is: probing, checks of its structure, thumbnails, and the programs that work on video."""
