# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What integration tests source, first thing:
#
#	source "$(dirname "$0")/functions.sh"
#	world_start 2
#	t 'a disk is attached' attaches
#	summary
#
# A test runs as process 1 of namespaces of its own (mounts, network,
# processes, host name): a real Ceph cluster, and pretended dom0s with real
# xenstoreds and a stand-in for the kernel's rbd driver.  Whatever it starts
# or mounts goes with it, even if it is killed.
#
# Environment:
#	XLRBD_BUILD	build directory; block-rbd is taken from there
#	BLOCK_RBD	another block-rbd
#	XLRBD_WRAPPER	words to put before it, such as valgrind and its options
#	XLRBD_TESTLIB	where lib/build.sh put its results, if not in XLRBD_BUILD
#	XLRBD_RUNDIR	block-rbd's run directory, if it is not /run/xlrbd
#	XLRBD_TESTS	regular expression: only tests whose names match
#	XLRBD_KEEP	directory to copy all logs to at the end
#
# Here: the entry.  world.sh: cluster and hosts.  vbd.sh: what libxl, blkback
# and block-rbd do.  ../lib/tap.sh: t, summary, expect_*.

set -euo pipefail

if [[ -z ${XLRBD_WORLD:-} ]]; then
	[[ $EUID -eq 0 ]] || { echo "must be run as root" >&2; exit 77; }
	# unshare itself ignores signals; and none must outlive the other.
	XLRBD_WORLD=1 setpriv --pdeathsig KILL unshare --mount --net --uts \
		--ipc --pid --fork --kill-child --mount-proc -- \
		"$BASH" "$0" "$@" <&0 &
	world=$!
	trap 'kill -KILL "$world"; exit 130' INT
	trap 'kill -KILL "$world"; exit 143' TERM HUP
	rc=0
	wait "$world" || rc=$?
	exit "$rc"
fi

TESTS=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
LIB=$TESTS/lib

# Where all files go: a tmpfs on a directory that every Debian has, so that
# nothing is left on the disk; but not over what somebody keeps there.
for WORLD in /mnt /media /srv; do
	[[ ! -d $WORLD || -n $(ls -A "$WORLD") ]] || break
done
mount -t tmpfs -o mode=0755 tmpfs "$WORLD"
export TMPDIR=$WORLD

# shellcheck source=tests/lib/tap.sh
source "$LIB/tap.sh"
# shellcheck source=tests/integration/world.sh
source "$TESTS/integration/world.sh"
# shellcheck source=tests/integration/vbd.sh
source "$TESTS/integration/vbd.sh"

trap world_stop EXIT

# The next test finds an empty pool; after one that failed and may have left
# anything, a fresh world.
after_each() { # after_each RC
	if (($1 == 0)); then
		rados purge rbd --yes-i-really-really-mean-it >/dev/null
	else
		world_reset
	fi
}
