"""One file a wire format: what a request asks, and how an answer is written anew."""
