"""Asking servers, measured."""
