"""Why a model does not know its people, found by trying."""
