"""Training encoders of faces: a head that tells people apart, and defences."""
