# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What libxl, blkback and block-rbd do for a virtual disk.
#
#	vbd_new HOST DOMID DEVID MODE TARGET [NAME] [UUID]	libxl makes it
#	rbd_add HOST DOMID DEVID		libxl runs the helper
#	blkback_open HOST DOMID DEVID		blkback takes what is published
#	blkback_close HOST DOMID DEVID		and lets go of it
#	rbd_remove HOST DOMID DEVID
#	vbd_gone HOST DOMID DEVID		libxl withdraws it: state 6,
#						`remove`, deletes the nodes
# rbd_add and rbd_remove return what block-rbd does, print what it printed,
# and set RC, ERR (its text) and MS.
#
#	xs HOST read|write|rm|ls|... ARGUMENT...	xenstore-read and so on
#	vbd_read HOST DOMID DEVID KEY		a node of the backend, or nothing

xs() { # xs HOST COMMAND ARGUMENT...
	local number=$1 command=$2

	shift 2
	# A value may begin with a dash.
	[[ $command != write ]] || set -- -- "$@"
	host "$number" "xenstore-$command" "$@"
}

backend_path() {
	echo "/local/domain/0/backend/vbd/$1/$2"
}

vbd_read() { # vbd_read HOST DOMID DEVID KEY
	xs "$1" read "$(backend_path "$2" "$3")/$4" 2>/dev/null || true
}

# Two domains of two hosts are never the same by accident.
default_uuid() { # default_uuid HOST DOMID
	printf '%08x-0000-4000-8000-%012x\n' "$1" "$2"
}

vdev_name() { # vdev_name DEVID: 51712 is xvda (xen: docs/man/xen-vbd-interface)
	local disk partition letters=abcdefghijklmnopqrstuvwxyz

	if (($1 >> 28)); then
		disk=$((($1 & 0xfffffff) >> 8)) partition=$(($1 & 0xff))
	else
		disk=$((($1 & 0xff) >> 4)) partition=$(($1 & 15))
	fi
	echo "xvd${letters:disk:1}${partition#0}"
}

# Directories first, and their permissions: what is made in them later
# inherits those, as after libxl's own transactions.
vbd_directories() { # vbd_directories HOST DOMID FRONTEND BACKEND LIBXL
	xs "$1" write "$3" '' "$4" '' "$5" ''
	xs "$1" chmod "$3" "n$2" r0
	xs "$1" chmod "$4" n0 "r$2"
}

domain_new() { # domain_new HOST DOMID NAME UUID
	local path=/local/domain/$2

	xs "$1" write "$path" '' "/vm/$4" ''
	xs "$1" chmod "$path" n0 "r$2"
	xs "$1" chmod "/vm/$4" n0 "r$2"
	xs "$1" write "$path/vm" "/vm/$4" "$path/name" "$3" \
		"$path/domid" "$2" "/vm/$4/uuid" "$4" "/vm/$4/name" "$3"
}

vbd_new() { # vbd_new HOST DOMID DEVID MODE TARGET [NAME] [UUID]
	local host=$1 domid=$2 devid=$3 mode=$4 target=$5
	local name=${6:-vm$domid} uuid=${7:-$(default_uuid "$1" "$2")}
	local front=/local/domain/$domid/device/vbd/$devid
	local back lib=/libxl/$domid/device/vbd/$devid vdev
	local common discard=1

	back=$(backend_path "$domid" "$devid")
	vdev=$(vdev_name "$devid")
	[[ $mode == w ]] || discard=0
	# pygrub's disks are domain 0's own, which has neither vm nor uuid.
	((domid == 0)) || domain_new "$host" "$domid" "$name" "$uuid"
	vbd_directories "$host" "$domid" "$front" "$back" "$lib"
	common=(
		frontend "$front" params "$target"
		script /etc/xen/scripts/block-rbd frontend-id "$domid"
		online 1 removable 0 bootable 1 dev "$vdev" type phy
		mode "$mode" device-type disk discard-enable "$discard"
		specification xen
	)
	write_keys "$host" "$front" backend "$back" backend-id 0 state 1 \
		virtual-device "$devid" device-type disk trusted 1 \
		protocol x86_64-abi
	# State 2, and what follows it, is blkback's.
	write_keys "$host" "$back" "${common[@]}" state 2 \
		feature-max-indirect-segments 256 multi-queue-max-queues 2 \
		max-ring-page-order 4
	write_keys "$host" "$lib" backend "$back" "${common[@]}" state 1
}

write_keys() { # write_keys HOST DIRECTORY KEY VALUE...
	local host=$1 directory=$2 pairs=()

	shift 2
	while (($#)); do
		pairs+=("$directory/$1" "$2")
		shift 2
	done
	xs "$host" write "${pairs[@]}"
}

# The nodes of a vbd; those of its domain too, after its last one.
vbd_forget() { # vbd_forget HOST DOMID DEVID
	local host=$1 domid=$2 devid=$3 vm

	vm=$(xs "$host" read "/local/domain/$domid/vm" 2>/dev/null) || true
	# -t: with the directories that have become empty.
	xs "$host" rm -t "$(backend_path "$domid" "$devid")" 2>/dev/null || true
	xs "$host" rm -t "/local/domain/$domid/device/vbd/$devid" \
		2>/dev/null || true
	xs "$host" rm -t "/libxl/$domid/device/vbd/$devid" 2>/dev/null || true
	if [[ $domid != 0 && -z $(xs "$host" list "/libxl/$domid" 2>/dev/null) ]]; then
		[[ -z $vm ]] || xs "$host" rm -t "$vm" || true
		xs "$host" rm "/local/domain/$domid" || true
	fi
}

vbd_gone() { # vbd_gone HOST DOMID DEVID
	local rc=0

	write_keys "$1" "$(backend_path "$2" "$3")" online 0 state 6
	rbd_remove "$@" || rc=$?
	# libxl does not care either.
	vbd_forget "$@"
	return "$rc"
}

# blkback's own reaction to physical-device.
blkback_open() { # blkback_open HOST DOMID DEVID
	local device=/sys/bus/xen-backend/devices/vbd-$2-$3 path

	path=$(vbd_read "$1" "$2" "$3" physical-device-path)
	[[ $path == /dev/rbd* ]] || fail "nothing is published for vbd $2/$3"
	krbd "$1" open "${path#/dev/rbd}"
	host "$1" mkdir "$device"
	host "$1" ln -s ../../drivers/vbd "$device/driver"
	write_keys "$1" "$(backend_path "$2" "$3")" state 4
}

# It says state 6 first and closes the device later.
blkback_close() { # blkback_close HOST DOMID DEVID
	local path

	path=$(vbd_read "$1" "$2" "$3" physical-device-path)
	krbd "$1" close "${path#/dev/rbd}"
	host "$1" rm -r "/sys/bus/xen-backend/devices/vbd-$2-$3"
}

# The program itself, not libtool's wrapper script around it.
find_block_rbd() {
	local build=${XLRBD_BUILD:-$TESTS/..} program

	for program in "${BLOCK_RBD:-}" "$build/block-rbd/.libs/block-rbd" \
		"$build/block-rbd/block-rbd"; do
		if [[ -n $program && -x $program ]]; then
			realpath "$program"
			return
		fi
	done
	fail "there is no block-rbd in $build; set XLRBD_BUILD or BLOCK_RBD"
}

run_block_rbd() { # run_block_rbd add|remove HOST DOMID DEVID
	local program start text
	# shellcheck disable=SC2206 # words
	local wrapper=(${XLRBD_WRAPPER:-})

	program=$(find_block_rbd)
	text=$(mktemp)
	start=${EPOCHREALTIME/./}
	RC=0
	# As libxl runs it, and kills it: that one process only, after 40 s.
	host "$2" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" \
		XENBUS_PATH="backend/vbd/$3/$4" XENBUS_TYPE=vbd \
		XENBUS_BASE_PATH=backend script=/etc/xen/scripts/block-rbd \
		timeout --foreground -s KILL 40 \
		"${wrapper[@]}" "$program" "$1" >"$text" 2>&1 </dev/null ||
		RC=$?
	MS=$(((${EPOCHREALTIME/./} - start) / 1000))
	ERR=$(<"$text")
	rm -f "$text"
	[[ -z $ERR ]] || echo "$ERR" >&2
	echo "block-rbd $1 on host $2 for vbd $3/$4: exit $RC, $MS ms" >&2
	return "$RC"
}

rbd_add() { # rbd_add HOST DOMID DEVID
	run_block_rbd add "$@"
}

rbd_remove() { # rbd_remove HOST DOMID DEVID
	run_block_rbd remove "$@"
}
