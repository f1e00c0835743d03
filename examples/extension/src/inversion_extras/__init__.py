"""An attack on images, an output defence and a target that Darkroom does not have."""
