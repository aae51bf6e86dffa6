"""What all command lines share: options, exit codes, tables, progress."""
