"""Collections of people: the store, search in it, enrolment, and `Collection`, which joins them."""
