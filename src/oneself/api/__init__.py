"""The faces: decode a request, call one use-case, render the answer. Faces never import each other."""
