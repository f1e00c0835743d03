"""The check of the subject: is the classifier, and are the photos, what their owner thinks."""
