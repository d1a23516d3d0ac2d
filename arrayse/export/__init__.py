"""Networks as ONNX files: one block of a stream with its states, traced, translated, checked, quantised."""
