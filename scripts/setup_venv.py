"""Makes ``.venv/`` and all that is in it: packages, ROS messages, the project itself. ``make setup`` runs it.

This file must parse under any Python, so that an unsupported one meets a sentence instead of a syntax error.
"""

import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    message = "setup: Expected Python to be 3.10 to 3.13, got {}.{} ({}). Choose another with: make PYTHON=python3.12"
    sys.exit(message.format(sys.version_info[0], sys.version_info[1], sys.executable))

import venv_steps

if __name__ == "__main__":
    sys.exit(venv_steps.main(sys.argv[1:]))
