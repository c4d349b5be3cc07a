"""Amazon Rekognition's structures, and the conversion of results into them."""
