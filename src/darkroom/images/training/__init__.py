"""Training defences of classifiers of images."""
