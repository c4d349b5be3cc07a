"""Amazon Rekognition's structures, and how ours become them."""
