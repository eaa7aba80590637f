"""What can be wrong with images and with sets of them: numbers from arrays, in numpy, and their thresholds."""
