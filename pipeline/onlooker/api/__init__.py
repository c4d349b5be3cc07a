"""The HTTP side: Amazon Rekognition's image and collection operations, for unchanged clients."""
