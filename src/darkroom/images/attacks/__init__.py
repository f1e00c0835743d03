"""Attacks on classifiers of images, one file each, named after what they do."""
