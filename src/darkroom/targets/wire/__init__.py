"""How servers are asked and how they answer, one file a wire format; nothing here sends."""
