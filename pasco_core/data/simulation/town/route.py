"""The way of the car with the sensor: a walk through the streets, driven as fast as its turns allow."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.town.layout import Plan, Profile, Segment, Sheet
from pasco_core.data.simulation.town.randomness import Kind, generator
from pasco_core.errors import ConfigError

FIRST_TIME = -5.0  # seconds; what a sweep or a follower needs before the first scan
_LATERAL, _ACCELERATION, _BRAKING = 2.0, 1.2, 1.8  # metres per second squared
_STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))  # east, north, west, south on the sheet
_SPEED = {"residential": 8.5, "urban": 10.0, "rural": 12.0, "highway": 14.0}
_TURN_ROOM = {-1: 8.0, 1: 11.0}  # metres before the lanes' meeting point at which a right or left turn begins
_CHUNK = 60  # crossings by which the stored way grows
_HIDDEN = 3  # last legs that are not driven yet, since what comes after them decides how fast


def turn_shape(count: int = 33) -> tuple[np.ndarray, np.ndarray]:
    """A left turn from (0, 0) heading along x to (1, 1) heading along y: (count, 2) points and (count,) headings.

    The curvature grows and falls smoothly, as a driver turns the wheel.
    """
    s = np.linspace(0.0, 1.0, count)
    heading = 0.5 * np.pi * s * s * (3.0 - 2.0 * s)
    fine = np.linspace(0.0, 1.0, 64 * (count - 1) + 1)
    angle = 0.5 * np.pi * fine * fine * (3.0 - 2.0 * fine)
    steps = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    path = np.concatenate([np.zeros((1, 2)), np.cumsum((steps[1:] + steps[:-1]) / 2.0, axis=0)])[::64]
    return path / path[-1], heading


def street_of(plan: Plan, node: tuple[int, int], heading: int) -> tuple[Profile, Segment, float]:
    """Profile, segment and centre line of the street that leaves crossing ``node`` towards ``heading``."""
    axis = 1 - heading % 2
    line = node[1] if axis == 1 else node[0]
    along = node[0] if axis == 1 else node[1]
    segment = plan.segment(axis, line, along - (heading >= 2))
    return plan.profile(axis, line), segment, plan.position(axis, line)


def lane_offset(profile: Profile, lane: int = 0) -> float:
    """Metres from a street's centre line to where vehicles keep in a lane; lane 0 is the one at the kerb.

    They keep a little to the left of the lane's middle, away from what is parked.
    """
    middle = profile.lane * (profile.lanes - lane - 0.5)
    return min(middle, 1.5) if profile.lanes == 1 else middle - 0.3 * (lane == 0)


class Route:
    """Positions and times along the way, made longer as needed; earlier parts never change.

    Args:
        plan, sheet: the streets.
        seed: chooses the turns.
    """

    def __init__(self, plan: Plan, sheet: Sheet, seed: int):
        self._plan, self._sheet = plan, sheet
        self._rng = generator(seed, Kind.ROUTE)
        self.nodes: list[tuple[int, int]] = [(0, 0), (1, 0)]
        self.headings: list[int] = [0]  # of the leg that starts at each crossing
        self._pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._starts = [0]
        self._grow()

    def position(self, time: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sheet position (..., 2), world position (..., 2) and world heading (...) at ``time`` seconds from -5 on."""
        time = np.asarray(time, np.float64)
        if not np.all(np.isfinite(time)) or np.any(time < FIRST_TIME):
            raise ConfigError(f"Expected the time of a drive to be a number from {FIRST_TIME:g} seconds on, got {time}")
        while self._last_time() < np.max(time):
            self._grow()
        index = np.clip(np.searchsorted(self._time, time, side="right") - 1, 0, len(self._time) - 2)
        span = self._time[index + 1] - self._time[index]
        share = (time - self._time[index]) / span
        # Between two points the speed changes evenly.
        low, high = self._speed[index], self._speed[index + 1]
        part = share * (2.0 * low + (high - low) * share) / (low + high)
        pair = part[..., None]
        uv = self._uv[index] * (1.0 - pair) + self._uv[index + 1] * pair
        xy = self._xy[index] * (1.0 - pair) + self._xy[index + 1] * pair
        return uv, xy, self._heading[index] * (1.0 - part) + self._heading[index + 1] * part

    def leg_times(self, leg: int) -> tuple[float, float]:
        """Seconds at which the drive enters the leg and leaves it."""
        while leg + 1 + _HIDDEN >= len(self._starts):
            self._grow()
        return float(self._time[self._starts[leg]]), float(self._time[self._starts[leg + 1]])

    def leg_at(self, time: float) -> int:
        """The leg that the drive is on at ``time`` seconds."""
        while self._last_time() < time:
            self._grow()
        return int(np.searchsorted(self._starts, np.searchsorted(self._time, time, side="right"), side="left")) - 1

    def _last_time(self) -> float:
        return float(self._time[self._starts[-1 - _HIDDEN]])

    def _grow(self) -> None:
        for _ in range(_CHUNK):
            self._walk()
            self._pieces.append(self._leg(len(self._pieces)))
            self._starts.append(self._starts[-1] + len(self._pieces[-1][0]))
        self._uv = np.concatenate([p[0] for p in self._pieces])
        heading = np.unwrap(np.concatenate([p[1] for p in self._pieces]))
        limit = np.concatenate([p[2] for p in self._pieces])
        self._xy = self._sheet.to_world(self._uv)
        self._heading = np.unwrap(self._sheet.direction(self._uv, heading))
        self._time, self._speed = _times(self._xy, self._heading, limit)

    def _walk(self) -> None:
        """One more crossing: mostly straight on, never back; highways are crossed, not entered."""
        before, node = self.headings[-1], self.nodes[-1]
        turn = int(self._rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2]))
        heading = (before + turn) % 4
        self.headings.append(heading)
        self.nodes.append((node[0] + _STEP[heading][0], node[1] + _STEP[heading][1]))

    def _leg(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sheet points, headings and speed limits from the end of the turn at crossing k to that of the one after."""
        heading, node = self.headings[k], self.nodes[k]
        turn = (self.headings[k + 1] - heading + 1) % 4 - 1
        turned = 0 if k == 0 else (heading - self.headings[k - 1] + 1) % 4 - 1
        step = np.array(_STEP[heading], np.float64)
        start = self._meeting(k) + step * _TURN_ROOM.get(turned, 0.0)
        stop = self._meeting(k + 1) - step * _TURN_ROOM.get(turn, 0.0)
        count = max(int(np.linalg.norm(stop - start)), 2)
        part = np.arange(count)[:, None] / count
        straight = start * (1.0 - part) + stop * part
        angle = heading * np.pi / 2
        points, headings = [straight], [np.full(count, angle)]
        if turn:
            shape, bend = turn_shape()
            side = np.array(_STEP[(heading + turn) % 4], np.float64)
            points.append(stop + _TURN_ROOM[turn] * (shape[:-1, :1] * step + shape[:-1, 1:] * side))
            headings.append(angle + turn * bend[:-1])
        kind = street_of(self._plan, node, heading)[1].kind
        limit = np.full(sum(len(p) for p in points), _SPEED[kind])
        return np.concatenate(points), np.concatenate(headings), limit

    def _meeting(self, k: int) -> np.ndarray:
        """Where the lanes of the legs before and after crossing k meet."""
        point = np.array([self._plan.position(0, self.nodes[k][0]), self._plan.position(1, self.nodes[k][1])])
        for leg in {max(k - 1, 0), k}:
            heading = self.headings[leg]
            profile, _, _ = street_of(self._plan, self.nodes[leg], heading)
            right = _STEP[(heading - 1) % 4]
            axis = heading % 2  # a leg along u has its lane at a fixed v, and the other way round
            point[1 - axis] = self._lane_line(heading, self.nodes[leg], profile, right[1 - axis])
        return point

    def _lane_line(self, heading: int, node: tuple[int, int], profile: Profile, sign: int) -> float:
        return street_of(self._plan, node, heading)[2] + sign * lane_offset(profile)


def _times(xy: np.ndarray, heading: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, from -5 on, and speed at each point, within the limits of speed, side force and acceleration."""
    length = np.hypot(*np.diff(xy, axis=0).T)
    bend = np.abs(np.diff(heading)) / length
    bend = np.maximum(np.append(bend, 0.0), np.append(0.0, bend))
    speed = np.minimum(limit, np.sqrt(_LATERAL / np.maximum(bend, 1e-4)))
    for i in range(len(speed) - 2, -1, -1):
        speed[i] = min(speed[i], (speed[i + 1] ** 2 + 2.0 * _BRAKING * length[i]) ** 0.5)
    for i in range(1, len(speed)):
        speed[i] = min(speed[i], (speed[i - 1] ** 2 + 2.0 * _ACCELERATION * length[i - 1]) ** 0.5)
    time = np.concatenate([[0.0], np.cumsum(2.0 * length / (speed[1:] + speed[:-1]))]) + FIRST_TIME
    return time, speed
