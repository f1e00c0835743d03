"""Verifiers of faces: rendered people, dlib, stores of templates, and controls."""
