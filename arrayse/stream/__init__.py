"""Causal networks on endless sound: a stream, what computes its blocks (torch, ONNX Runtime), sound devices."""

from arrayse.stream.streamer import MAX_LEVEL, Backend, Streamer, TorchBackend

__all__ = ["MAX_LEVEL", "Backend", "Streamer", "TorchBackend"]
