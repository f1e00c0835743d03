"""Training classifiers of images: what it works on, and defences that several kinds share."""
