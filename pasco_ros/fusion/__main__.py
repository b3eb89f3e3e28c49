"""``python -m pasco_ros.fusion``: the node scene_fusion."""

from pasco_ros.fusion.scene_fusion import main

if __name__ == "__main__":
    raise SystemExit(main())
