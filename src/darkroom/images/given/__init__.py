"""Models and photos as Python hands them over, made into what an audit works with."""
