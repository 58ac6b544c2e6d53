"""Text to vectors: one protocol, an ONNX model, a deterministic stand-in."""
