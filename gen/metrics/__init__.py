"""Measures of quality and variety: features in, numbers with intervals out; float64 on the host.

A set of images is given by its features [n d] (see gen/features), its images [n h w c] in [0, 1], or its class
logits [n k]. `generated` comes first, `real` second, and every function says which way its number moves.
"""
