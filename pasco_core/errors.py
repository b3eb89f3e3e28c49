"""The errors a user of the library can meet; each message names the thing, the rule and the value."""


class PascoError(Exception):
    """Base of every error this package raises on purpose."""


class CloudError(PascoError):
    """A point cloud that cannot be read or decoded; ``code`` is the verdict the node counts, such as ``LAYOUT``."""

    def __init__(self, message: str, code: str = "CLOUD"):
        super().__init__(message)
        self.code = code


class ConfigError(PascoError):
    """A parameter, option or configuration file that breaks its rule."""


class CheckpointError(PascoError):
    """A weight file that is missing, unsafe, damaged or of another architecture."""


class DataError(PascoError):
    """A dataset file that is missing or breaks its format."""


class InferenceError(PascoError):
    """A network produced no usable result, such as logits that are not finite."""


class TransformError(PascoError):
    """A transform between two frames that is not known, or one that cannot be taken in; ``reason`` is a short code."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


class ImageError(PascoError):
    """A camera image, or its calibration, that cannot be used; ``code`` is a short verdict, such as ``ENCODING``."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code
