"""What `infrablocks doctor` looks at."""
