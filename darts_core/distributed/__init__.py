"""One run on several devices: a process each, which hold equal weights and see different images of the same batch."""
