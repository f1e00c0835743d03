"""How servers of image models are asked and how they answer, one file a wire format."""
