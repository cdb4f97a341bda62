"""The measurements of `make bench`, one file per part. The workflow runs none of them."""
