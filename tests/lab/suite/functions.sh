# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the lab's tests share.  They run in a lab of two hosts, some of three, that is up and has block-rbd installed
# (suite/run).
set -euo pipefail

# A ring of 16 pages for each of four disks does not fit into less.
export XLRBD_LAB_GUEST_MEMORY=160

LAB=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lab
# shellcheck source=/dev/null
. "$(dirname "$LAB")/../lib/tap.sh"

# Those that a test uses, and leaves as it found them.
HOSTS=(1 2)
# Emulation is slow and machines are busy: nobody waits this long for something that works.
PATIENCE=120
# Each look takes part of a second from the one processor that does what is waited for.
# shellcheck disable=SC2034 # by eventually
TAP_REST=1

x() { # x HOST COMMAND...: in xenHOST
	local host=xen$1
	shift
	"$LAB" run "$host" "$@"
}

rbd() { "$LAB" ceph rbd "$@"; }

# root_image NAME [FEATURES...]: a 64 MB root file system in the pool; default features unless named.
root_image() {
	local name=$1
	shift
	rbd import --no-progress "${@/#/--image-feature=}" "$ROOT_FILE" "rbd/$name"
}

drop_image() {
	local name

	for name; do
		rbd rm --no-progress "rbd/$name" >/dev/null
	done
}

# boot HOST NAME [-d SCRIPT] DISK... [-- LINE...]: xl create, whose output is kept; its exit code.
boot() {
	local host=$1 name=$2 do=()
	shift 2
	if [[ $1 == -d ]]; then
		do=(-d "$2")
		shift 2
	fi
	# Console logs outlive the domain: what a namesake has said must not count for this one.
	"$LAB" domcfg "${do[@]}" "$name" "$@" | x "$host" "cat >/root/$name.cfg &&
		rm -f /var/log/xen/console/guest-$name*.log && xl create /root/$name.cfg 2>&1"
}

up() { # up HOST NAME DISK...: boots and waits for the guest's userspace
	boot "$@"
	"$LAB" guestwait "xen$1" "$2" "lab: guest up" $PATIENCE
}

guest() { # guest HOST NAME COMMAND: typed into the guest
	"$LAB" type "xen$1" -t $PATIENCE "$2" "$3"
}

domain_gone() {
	! x "$1" "xl domid $2" >/dev/null 2>&1
}

wait_gone() { # wait_gone HOST NAME: until xl has reaped it
	eventually $PATIENCE domain_gone "$1" "$2"
}

power_off() {
	"$LAB" type "xen$1" -n "$2" poweroff
	wait_gone "$1" "$2"
}

disk() { # disk TARGET [VDEV] [KEY=VALUE...]: a disk line
	local target=$1 vdev=${2:-xvda}
	shift $(($# < 2 ? $# : 2))
	local IFS=,
	echo "script=block-rbd,vdev=$vdev${*:+,$*},target=$target"
}

# Of "WAY STEP MILLISECONDS" lines in $FIGURES.
median() { # median WAY STEP
	awk -v w="$1" -v s="$2" '$1 == w && $2 == s { print $3 }' <<<"$FIGURES" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

range() { # range WAY STEP
	awk -v w="$1" -v s="$2" '$1 == w && $2 == s { print $3 }' <<<"$FIGURES" | sort -n |
		awk 'NR == 1 { min = $1 } END { print min "-" $1 }'
}

lockers() { # lockers IMAGE: all entries under both names, a line each
	local id name

	id=$(rbd info --format json "rbd/$1" | jq -r .id)
	for name in rbd_lock xlrbd; do
		"$LAB" ceph rados -p rbd lock info "rbd_header.$id" $name --format json 2>/dev/null |
			jq -r '(.lockers // [])[] | "\(.name) \(.cookie)"'
	done | grep -v ' auto ' || :
}

# left HOST: whatever a host without domains should not have, a line each.  What says that a domain was not told to run
# there may be asked for later.
left() {
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" '
		for d in /sys/bus/rbd/devices/*; do [ -e $d ] && echo "mapping $d $(cat $d/name)"; done
		for f in /run/xlrbd/*; do case $f in */untold-*) ;; *) [ -e $f ] && echo "record $f" ;; esac; done
		xenstore-ls -f /local/domain/0/backend 2>/dev/null | grep "/vbd/[0-9]*/[0-9]* " | sed "s/^/node /"
		for v in /sys/bus/xen-backend/devices/vbd-*; do [ -e $v ] && echo "blkback $v"; done
		pgrep -x block-rbd | sed "s/^/process /"
		xl list | awk "NR > 2 { print \"domain \" \$1 }"
	' || :
}

nothing_left() { # nothing_left IMAGE...
	local host image

	for host in "${HOSTS[@]}"; do
		expect_eq "$(left "$host")" "" "left on xen$host"
	done
	for image; do
		expect_eq "$(lockers "$image")" "" "lock entries of $image"
	done
}

# After a failed test the next one must find a clean lab; what was there is shown.
after_each() {
	local host left
	(($1 != 0)) || return 0
	for host in "${HOSTS[@]}"; do
		left=$(left "$host")
		[[ -z $left ]] || printf '    left on xen%s: %s\n' "$host" "${left//$'\n'/; }"
		x "$host" 'grep -v sshd /var/log/messages | tail -n 8' 2>&1 | sed "s/^/    xen$host: /"
		# shellcheck disable=SC2016 # for the host's shell
		x "$host" 'for d in $(xl list | awk "NR > 2 { print \$2 }"); do xl destroy $d; done
			for f in /run/xlrbd/vbd-*; do
				[ -e $f ] && b=${f##*/vbd-} && XENBUS_PATH=backend/vbd/${b%-*}/${b#*-} block-rbd remove
			done
			rm -f /run/xlrbd/migrating-* /run/xlrbd/monitor-* /run/xlrbd/arrival-* /run/xlrbd/creating-*' >/dev/null 2>&1 || :
	done
	timeout $PATIENCE "$LAB" ceph rados -p rbd rm xlrbd_domains 2>/dev/null || :
	for left in $(rbd ls); do
		rbd snap purge --no-progress "$left" 2>/dev/null || :
		rbd rm --no-progress "$left" || :
	done
}
