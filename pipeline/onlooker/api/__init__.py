"""The HTTP server: Amazon Rekognition's image and collection operations for unchanged clients."""
