"""The lesson: ten questions, each an experiment on the lab's pages with its measured answer."""
