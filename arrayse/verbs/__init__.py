"""The verbs of the command line as functions: checked values in, objects built, work done."""
