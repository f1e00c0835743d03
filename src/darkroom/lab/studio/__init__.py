"""The model, the photos and the judges that the lab works with, loaded beside the page."""
