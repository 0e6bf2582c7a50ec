"""What the images are made of: their lock files, and what an audit says of them. Not part of the wheel."""
