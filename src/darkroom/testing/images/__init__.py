"""Checks of parts for audits of classifiers of images."""
