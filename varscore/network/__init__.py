"""The Enformer module alone, its checkpoints, the model zoo and track tables. No genomics in here."""
