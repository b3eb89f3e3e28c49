"""The demo with the stand-in model in place of the network, as a program."""

import sys
from pathlib import Path

from pasco_ros.demo.__main__ import main

if __name__ == "__main__":
    node = Path(__file__).with_name("ros_stand_in.py")
    raise SystemExit(main(sys.argv[1:], node=(sys.executable, str(node))))
