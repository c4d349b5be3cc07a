"""Amazon Rekognition's operations."""
