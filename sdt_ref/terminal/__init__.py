"""What all commands share on a terminal: options and exit codes, tables, progress, words. It computes nothing."""
