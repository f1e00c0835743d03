"""Folders of photos as people have them: which files are photos, of whom, and what they hold."""
