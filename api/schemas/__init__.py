"""What goes over the wire. Pure pydantic: the client and the workers share these modules."""
