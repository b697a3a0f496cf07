"""What is done with scores: from a table of them to an answer. Nothing here runs the network."""
