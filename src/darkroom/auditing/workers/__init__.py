"""Who runs the cells of an audit in place of the process that began it."""
