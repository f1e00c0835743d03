"""What OpenAI serves, and servers like it: completions, chat and responses."""
