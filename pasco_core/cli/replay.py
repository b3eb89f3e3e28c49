"""``pasco replay``: a rosbag2 through the network without ROS; messages, numbers and a report come out."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.atomic_write import write_text_whole
from pasco_core.cli.jobs import check_jobs, check_output_folder, with_progress
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.replay import ReplayPlan, ReplayRun

_COMPARE = "compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Bag, network, clouds, truth, real time, output."""
    add = parser.add_argument
    add("bag", nargs="+", metavar="BAG",
        help="rosbag2 folder, .mcap or .db3 file, also a damaged one; or: compare A B, two folders of results")
    add("--out", type=Path, metavar="DIR", help="folder of the results (default: out/replay/<name of the bag>)")
    add("--topic", metavar="NAME", help="the clouds (default: the only topic of type sensor_msgs/msg/PointCloud2)")
    add("--every", type=int, default=1, metavar="N", help="every N-th cloud (default: 1)")
    group = parser.add_argument_group("beside the clouds").add_argument
    group("--camera", action="append", metavar="TOPIC",
          help="images, raw or compressed, into which the scene is drawn; the calibration is found beside them or by "
               "their frame; may be repeated (without base_frame with --param camera_poses=...)")
    group("--odometry", metavar="TOPIC",
          help="with --param deskew=odometry (default: the only topic of type nav_msgs/msg/Odometry)")
    _add_network(parser.add_argument_group("network").add_argument)
    group = parser.add_argument_group("truth, where the bag has none on /truth/voxels").add_argument
    group("--truth", metavar="DIR", help="dataset in SemanticKITTI's layout with voxel labels")
    group("--truth-by", choices=("index", "stamp"), default="index", help="how clouds find frames (default: index)")
    group("--truth-sequence", default="", metavar="NAME", help="default: the bag's own, or the only one")
    group = parser.add_argument_group("real time").add_argument
    group("--realtime", action="store_true", help="work out what the node would have dropped, and ages of results")
    group("--latency", type=float, metavar="S", help="seconds of a computation (default: as measured for each cloud)")
    group("--max-age", type=float, metavar="S", help="the node's parameter max_age (default: 0, no limit)")
    add("--worst", type=int, default=3, metavar="N", help="with compare: pictures of the N worst (default: 3)")
    add("--json", action="store_true", help="print the summary as JSON")
    parser.epilog = (
        "Results go to DIR: bag/ (the node's topics), results.jsonl, summary.json, timings.json, report.html.\n"
        "Runs that were stopped go on where they were.\n\n"
        "examples:\n"
        "  pasco replay drive.mcap\n"
        "  pasco replay bags/08 --checkpoint pasco.safetensors --every 5 --jobs 4 --truth kitti/dataset\n"
        "  pasco replay bags/08 --realtime --latency 0.4 --max-age 1 --out out/at_0.4_s\n"
        "  pasco replay bags/car --params config/panoptic_scene_completion.yaml\n"
        "  pasco replay bags/car --param base_frame=base_link --param output_frame=base\n"
        "  pasco replay bags/car --param base_frame=base_link --param deskew=odometry --camera /front/image_raw\n"
        "  pasco replay compare out/before out/after"
    )


def _add_network(add) -> None:
    add("--checkpoint", metavar="C", help="weights (default: the shipped small network)")
    add("--features", metavar="W", help="WaffleIron weights, for networks that read its features")
    add("--device", help="cpu, cuda or cuda:1 (default: cpu)")
    add("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    add("--threads", type=int, metavar="N",
        help="of torch per process (default: 1); the last digits of a network's output depend on it")
    add("--params", type=Path, metavar="FILE",
        help="the node's parameter file, as on the vehicle; --param and the options above go before it")
    add("--param", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of the node (docs/node.md), such as min_range=1.0; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Replay a bag, or compare two replays."""
    if args.bag[0] == _COMPARE and len(args.bag) > 1:
        return _compare(args)
    if len(args.bag) != 1:
        raise ConfigError(f"Expected one bag, or compare A B, got {' '.join(args.bag)}")
    return _replay(args)


def _replay(args: argparse.Namespace) -> int:
    from pasco_core.device import usable_device
    from pasco_core.replay import begin, replay

    check_jobs(args)
    plan = _plan(args)
    usable_device(plan.settings.device)
    out = args.out or Path("out") / "replay" / plan.bag.stem
    check_output_folder(out, "--out")
    work = begin(plan, out)
    _say(_intention(work))
    for _ in with_progress(replay(work, args.jobs), work.todo, "replay", "cloud"):
        pass
    return _results(args, work)


def _plan(args: argparse.Namespace) -> ReplayPlan:
    from pasco_core.data.bags import CLOUD_TYPE, find_cloud_topic, open_bag, require_topic
    from pasco_core.replay import ReplayPlan, settings_from, settings_in_file
    from pasco_core.replay.plan import Realtime, TruthPlace
    from pasco_core.replay.sensor_topics import find_sensors, offer
    from pasco_core.replay.truth import TruthFinder

    if (args.latency is not None or args.max_age is not None) and not args.realtime:
        raise ConfigError("Expected --latency and --max-age to come with --realtime, got none")
    if args.truth_sequence and not args.truth:
        raise ConfigError(f"Expected --truth-sequence {args.truth_sequence} to come with --truth, got none")
    in_file, remarks = settings_in_file(args.params) if args.params else ({}, ())
    options = {"checkpoint": args.checkpoint, "features_checkpoint": args.features, "device": args.device,
               "num_threads": args.threads, "max_age": args.max_age}
    if args.camera:
        options["camera_topics"] = tuple(args.camera)
    given = {name: value for name, value in options.items() if value is not None}
    settings = settings_from(args.param, **{**in_file, **given})
    truth = TruthPlace(args.truth, args.truth_sequence, args.truth_by) if args.truth else None
    bag = Path(args.bag[0])
    with open_bag(bag) as reader:
        topic = find_cloud_topic(reader) if args.topic is None else require_topic(reader, args.topic, CLOUD_TYPE)
        realtime = Realtime(args.latency) if args.realtime else None
        sensors = find_sensors(reader, settings, args.odometry, cameras_named=bool(args.camera))
        plan = ReplayPlan(bag, topic.name, topic.count, args.every, settings, truth, realtime, remarks, sensors)
        TruthFinder(plan, reader)  # says at once what is wrong with it
        if text := offer(reader, settings):
            _say(text)
    return plan


def _intention(work: ReplayRun) -> str:
    plan = work.plan
    text = f"{len(plan.numbers())} of {plan.count} clouds on {plan.topic}"
    if work.done:
        text += f"; {len(work.done)} are there already"
    return f"{text}; results in {work.out}"


def _results(args: argparse.Namespace, work: ReplayRun) -> int:
    from pasco_core.data.bags import open_bag
    from pasco_core.replay.report import make_report, tables_of
    from pasco_core.replay.summary import REPORT_FILE, summary_of

    with open_bag(work.plan.bag) as reader:
        summary = summary_of(work, reader)
    paths = summary.write(work.out)
    write_text_whole(work.out / REPORT_FILE, make_report(summary))
    if args.json:
        print(as_json({**summary.values(), "timings": summary.timings()}))
        return 0
    for table in tables_of(summary):
        print(table.as_text() + "\n")
    for remark in summary.remarks():
        print(textwrap.fill(f"note: {remark}", 110, initial_indent="  ", subsequent_indent="    "))
    print(f"  SHA-256 of the predictions: {summary.values()['sha256']}")
    for path in (*paths, work.out / REPORT_FILE, work.out / "bag"):
        print(f"  {path}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from pasco_core.replay.compare import Comparison, Side, comparison_page

    if len(args.bag) != 3:
        raise ConfigError(f"Expected compare to name two folders of results, got {len(args.bag) - 1}")
    if args.worst < 0:
        raise ConfigError(f"Expected --worst to be at least 0, got {args.worst}")
    a, b = (Path(text) for text in args.bag[1:])
    comparison = Comparison(Side.read(a), Side.read(b))
    out = args.out or b
    out.mkdir(parents=True, exist_ok=True)
    path = out / "comparison.html"
    write_text_whole(path, comparison_page(comparison, args.worst))
    if args.json:
        print(as_json(comparison.values()))
        return 0
    for table in comparison.tables():
        print(table.as_text() + "\n")
    for remark in comparison.remarks():
        print(textwrap.fill(f"note: {remark}", 110, initial_indent="  ", subsequent_indent="    "))
    print(f"  {path}")
    return 0


def _say(text: str) -> None:
    """On stderr, so that stdout holds the tables or the JSON alone."""
    print(f"pasco replay: {text}", file=sys.stderr, flush=True)
