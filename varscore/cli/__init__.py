"""The command line: options, one library call, what the person sees."""
