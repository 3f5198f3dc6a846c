"""Uploaded data sets: taken in, checked and packed in a child process, handed to workers by checksum."""
