"""What Darkroom says of itself, measured."""
