"""What is written: Parquet files and where they came from."""
