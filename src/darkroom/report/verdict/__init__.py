"""What a run says in a sentence, and why."""
