"""Which topics of a bag have images of cameras, and on which one the calibration of each camera is."""

from __future__ import annotations

from pasco_core.data.bags.from_bag import IMAGE_TYPES
from pasco_core.data.bags.reader import BagReader, TopicInfo, listed
from pasco_core.data.bags.sequence_messages import INFO_TYPE
from pasco_core.errors import DataError
from pasco_core.stream.cameras import CameraTopics, info_topic_of

_DRAWN = "/overlay"


def image_topics(reader: BagReader) -> dict[str, TopicInfo]:
    """Topics with images of cameras by name, without those that the node draws."""
    return {topic.name: topic for topic in reader.of_type(*IMAGE_TYPES) if not topic.name.endswith(_DRAWN)}


def require_images(reader: BagReader, name: str) -> TopicInfo:
    """A topic with images that a person named.

    Raises:
        DataError: it has none; the message lists those that have.
    """
    found = image_topics(reader)
    if name not in found:
        raise DataError(f"Expected --camera {name} to name a topic of {reader.path} with images, "
                        f"got {listed_images(reader)}")
    return found[name]


def listed_images(reader: BagReader) -> str:
    """The topics with images of cameras for a message; where there are drawn ones alone, what to do instead."""
    found, drawn = image_topics(reader), reader.of_type(*IMAGE_TYPES)
    if drawn and not found:
        return f"only {listed(drawn)}, drawn already; take the recorded bag, which has the camera's images"
    return listed(found.values())


def called_rectified(topic: str) -> bool:
    """Whether images are rectified, by the name that ROS gives such topics.

    >>> called_rectified("/front/image_rect_color/compressed"), called_rectified("/rect/image_raw")
    (True, False)
    """
    return "rect" in topic.removesuffix("/compressed").rsplit("/", 1)[-1]


def camera_of(reader: BagReader, images: TopicInfo, number: int = 0) -> CameraTopics:
    """The images of a camera with the topic of its calibration: the one beside them, or the only one for their frame.

    Args:
        reader: the bag, open.
        images: the topic with the images.
        number: of the camera in the settings.

    Raises:
        DataError: there is no such calibration.
    """
    beside, compressed = info_topic_of(images.name), images.type == IMAGE_TYPES[1]
    infos = [topic.name for topic in reader.of_type(INFO_TYPE)]
    if beside in infos:
        return CameraTopics(images.name, beside, compressed, number)
    frame = _frame_of(reader, images.name)
    same = [name for name in infos if frame and _frame_of(reader, name) == frame]
    if len(same) == 1:
        return CameraTopics(images.name, same[0], compressed, number)
    rule = f"a calibration on {beside}, or one alone for their frame {frame!r}"
    raise DataError(f"Expected the images on {images.name} to have {rule}, got {', '.join(same) or 'none'}")


def _frame_of(reader: BagReader, name: str) -> str:
    """Frame of a topic's first message, "" where that cannot be read."""
    try:
        return next((str(message.header.frame_id) for _, _, message in reader.messages([name])), "")
    except DataError:
        return ""
