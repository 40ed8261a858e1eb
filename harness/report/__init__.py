"""A run as a page for people: view model, charts, HTML and Markdown. Computes no statistics."""
