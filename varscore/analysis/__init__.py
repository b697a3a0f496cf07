"""What is done with scores: tables in, answers out."""
