"""PyTorch modules as plans name them: code, weights in files, and what decides a module."""
