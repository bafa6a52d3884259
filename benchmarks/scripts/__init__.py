"""What is timed: each file here is run by the interpreter of the library that it measures.

Its first argument is the file that it writes its figures to (one JSON object), since its stdout may be part of what is
measured.
"""
