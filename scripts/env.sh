# The environment of everything that runs from this checkout; source it in bash: . scripts/env.sh
# A ROS installation that the shell has set up already is put aside: its libraries and those of .venv do not mix.

pasco_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Libraries of the ROS installations on AMENT_PREFIX_PATH are dropped, all others (CUDA, for one) stay.
pasco_libraries=""
IFS=: read -ra pasco_folders <<< "${LD_LIBRARY_PATH:-}"
IFS=: read -ra pasco_prefixes <<< "${AMENT_PREFIX_PATH:-}"
for pasco_folder in "${pasco_folders[@]}"; do
  for pasco_prefix in "${pasco_prefixes[@]}"; do
    case "$pasco_folder/" in "${pasco_prefix:-/nowhere}"/*) continue 2 ;; esac
  done
  pasco_libraries="${pasco_libraries:+$pasco_libraries:}$pasco_folder"
done
export LD_LIBRARY_PATH="$pasco_libraries"
[ -n "$LD_LIBRARY_PATH" ] || unset LD_LIBRARY_PATH

unset PYTHONHOME PYTHONPATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH RMW_IMPLEMENTATION ROS_VERSION ROS_PYTHON_VERSION
unset FASTRTPS_DEFAULT_PROFILES_FILE
# The ROS wheels mark with it that the library path is set; inherited from another environment it would be wrong.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE

export VIRTUAL_ENV="$pasco_root/.venv"
export PATH="$VIRTUAL_ENV/bin:$PATH"
export AMENT_PREFIX_PATH="$VIRTUAL_ENV"
export ROS_DISTRO=kilted

# Grids and clouds are larger than the default shared-memory segment; see the profile.
export FASTDDS_DEFAULT_PROFILES_FILE="$pasco_root/config/fastdds_profile.xml"
# Other machines stay undisturbed unless asked for.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"

unset pasco_root pasco_libraries pasco_folders pasco_folder pasco_prefixes pasco_prefix
