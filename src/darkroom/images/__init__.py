"""Audits of classifiers of images: people reconstructed from a model of them."""
