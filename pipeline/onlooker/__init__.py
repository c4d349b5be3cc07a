"""Onlooker looks at pictures and video and says who is in them and what is written there."""
