"""Work that somebody watches: its thread, where it waits, and the stream that tells of it."""
