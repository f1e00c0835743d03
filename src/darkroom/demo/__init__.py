"""The demo: faces out of a model of people, an attribute of patients, secrets out of a text."""
