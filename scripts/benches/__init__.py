"""What `make bench` measures, one file a part. Nothing of it runs in the workflow."""
