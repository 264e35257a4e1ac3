"""CEL: the language, what Kubernetes adds to it, and the rules that definitions write in it."""
