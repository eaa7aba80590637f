"""What can be told about an image file: parsed in a child process, judged from record, signature and mark."""
