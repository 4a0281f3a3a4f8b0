"""What goes over wires and widgets: sockets, tensors, schemas, limits, and inputs that several nodes share."""
