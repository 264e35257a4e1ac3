"""What ``addonry scan`` found, in the forms that the machines of a pipeline read: one module for each."""
