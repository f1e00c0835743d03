"""Audits of classifiers of images, measured."""
