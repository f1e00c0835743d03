"""Which models, data and endpoints are met, as people have them."""
