"""What a model of patients gives away of one of them, beside what statistics tell."""
