"""Which topics of a bag a replay reads beside the clouds: the odometry, and each camera's images and calibration."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.data.bags import BagReader, TopicInfo, require_topic
from pasco_core.data.bags.camera_topics import called_rectified, camera_of, image_topics, require_images
from pasco_core.data.bags.reader import listed
from pasco_core.data.bags.sequence_messages import ODOMETRY_TYPE
from pasco_core.errors import ConfigError, DataError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.sensor_settings import CAMERA, COMPRESSED, ODOMETRY, RAW
from pasco_core.stream.cameras import CameraTopics


@dataclass(frozen=True)
class SensorTopics:
    """What a replay reads beside the clouds, by name.

    Args:
        odometry: nav_msgs/Odometry, None where nothing is de-skewed by it.
        cameras: those that have images and a calibration.
        lacks: what the settings ask for and the bag does not have, one sentence each.
    """

    odometry: str | None = None
    cameras: tuple[CameraTopics, ...] = ()
    lacks: tuple[str, ...] = ()


def find_sensors(
    reader: BagReader, settings: NodeConfig, odometry: str | None = None, cameras_named: bool = False
) -> SensorTopics:
    """The topics that the settings ask for.

    Args:
        reader: the bag, open.
        settings: ``deskew`` and ``camera_topics`` among them.
        odometry: the topic with the odometry; None: the only one of its type.
        cameras_named: whether a person named the cameras for this bag, so that one without images is a mistake.

    Raises:
        ConfigError: ``odometry`` is named, but nothing is de-skewed by it.
        DataError: a named topic is not there or of another type, or several topics have odometry and none is named.
    """
    topic, lacks = _odometry(reader, settings, odometry)
    cameras = []
    for number, name in enumerate(settings.cameras):
        images = _images(reader, name, settings.camera_transport)
        if images is None and cameras_named:
            images = require_images(reader, name)
        if images is None:
            lacks.append(f"There are no images on {name}: that camera is off")
            continue
        try:
            cameras.append(camera_of(reader, images, number))
        except DataError as error:
            lacks.append(f"{error}: that camera is off")
            continue
        if called_rectified(images.name) and not settings.cameras_rectified:
            lacks.append(f"The images on {images.name} seem to be rectified, but cameras_rectified is false: K and D "
                         "of the calibration are used, not P")
    if settings.point_colours == CAMERA and not cameras:
        lacks.append("No camera colours the points: they have the colours of their classes")
    return SensorTopics(topic, tuple(cameras), tuple(lacks))


def offer(reader: BagReader, settings: NodeConfig) -> str:
    """What a person may still ask for, "" where there is nothing."""
    found = {} if settings.cameras else image_topics(reader)
    return f"images on {listed(found.values())}: --camera TOPIC draws the scene into them" if found else ""


def _odometry(reader: BagReader, settings: NodeConfig, name: str | None) -> tuple[str | None, list[str]]:
    if settings.deskew != ODOMETRY:
        if name is not None:
            raise ConfigError(f"Expected --odometry {name} to come with --param deskew=odometry, got {settings.deskew}")
        return None, []
    if name is not None:
        return require_topic(reader, name, ODOMETRY_TYPE).name, []
    found = reader.of_type(ODOMETRY_TYPE)
    if len(found) > 1:
        raise DataError(f"Expected {reader.path} to have one topic of type {ODOMETRY_TYPE}, got {listed(found)}; "
                        "name one of them with --odometry")
    if found:
        return found[0].name, []
    return None, [f"Nothing was de-skewed: the bag has no topic of type {ODOMETRY_TYPE} with messages"]


def _images(reader: BagReader, name: str, transport: str) -> TopicInfo | None:
    """The topic with the images of a camera, whose name may be that of its raw or that of its compressed images."""
    found, resolved = image_topics(reader), "/" + name.removeprefix("/")
    names = (CameraTopics.of(resolved, kind).image for kind in (transport, RAW, COMPRESSED))
    return next((found[own] for own in names if own in found), None)
