"""Models, photos and rows of which it is known what an audit must find."""
