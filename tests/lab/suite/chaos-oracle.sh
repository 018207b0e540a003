# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Who is able to write: what chaos.sh holds the rules of sharing against.  It looks at the world, not at the locks: at
# what is published in each host's xenstore, at what its kernel has mapped, and at whom Ceph has fenced.
#
#	oracle_start IMAGE...	the images
#	look_at_all		while nothing moves on hosts that can be asked: prints what is wrong, a line each
#
# A disk is "HOST DOMID DEVID DOMAIN IMAGE MODE DEVICE ADDRESS BOOT-ID", ADDRESS that of the kernel's client, or "-" if
# that device is no map of the image.  In $CHAOS:
#
#	disks.HOST		its disks, when it was last looked at
#	nodes.HOST		"DOMAIN" and "DOMAIN DEVID", of all domains and vbds, published or not
#	away.HOST		"off", "frozen" or "cut", for more than a moment
#	moving.HOST		domains that something was done to in this round
#
# A host that is cut off can be looked at, and is able to write as far as anybody else can know, unless it is fenced.
# So is a host that is frozen; what moved when it froze is certain only when it goes on.  One that is off is not.

declare -A HEADER LOCK

oracle_start() { # oracle_start IMAGE...
	local image host

	for image; do
		HEADER[$image]=rbd_header.$(rbd info --format json "rbd/$image" | jq -r .id)
		# On images with exclusive-lock rbd_lock is the kernel's.
		LOCK[$image]=rbd_lock
		! rbd info "rbd/$image" | grep -q exclusive-lock || LOCK[$image]=xlrbd
	done
	for host in 1 2; do
		: >"$CHAOS/disks.$host"
		: >"$CHAOS/nodes.$host"
	done
}

away() { # away HOST: why, or nothing
	cat "$CHAOS/away.$1" 2>/dev/null || :
}

entries() { # entries IMAGE: the cookies in its lock
	"$LAB" ceph rados -p rbd lock info "${HEADER[$1]}" "${LOCK[$1]}" --format json | jq -r '.lockers[].cookie'
}

fenced_clients() { # a line each, with the end of the fence
	"$LAB" ceph ceph osd blocklist ls 2>/dev/null | awk '/:0\// { print $1, $2 }'
}

look_at_host() { # look_at_host HOST
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" '
		echo "boot $(cat /proc/sys/kernel/random/boot_id)"
		for d in /sys/bus/rbd/devices/*; do
			[ -e $d ] && echo "map ${d##*/} $(cat $d/name) $(cat $d/client_addr)"
		done
		xenstore-ls -f /local/domain' >"$CHAOS/raw.$1" || echo "xen$1 cannot be looked at"
	awk -v host="$1" -v disks="$CHAOS/disks.$1" -v nodes="$CHAOS/nodes.$1" '
		BEGIN { printf "" >disks; printf "" >nodes }
		$1 == "boot" { boot = $2; next }
		$1 == "map" { image[$2] = $3; addr[$2] = $4; next }
		{ value = $0; sub(/^[^=]* = "/, "", value); sub(/"$/, "", value); split($1, part, "/") }
		$1 ~ "^/local/domain/0/backend/vbd/[0-9]+/[0-9]+/" {
			vbd[part[7] " " part[8]]
			node[part[7], part[8], part[9]] = value
		}
		$1 ~ "^/local/domain/[1-9][0-9]*/name$" { name[part[4]] = value; print value >nodes }
		END {
			for (v in vbd) {
				split(v, part, " ")
				if (name[part[1]] == "")
					continue
				print name[part[1]], part[2] >nodes
				device = node[part[1], part[2], "physical-device-path"]
				if (device == "")
					continue
				sub(/.*\/rbd/, "", device)
				what = mode = node[part[1], part[2], "params"]
				sub(/^rbd:/, "", what); sub(/,.*/, "", what)
				sub(/.*mode=/, "", mode); sub(/,.*/, "", mode)
				print host, v, name[part[1]], what, mode, device,
					image[device] == what ? addr[device] : "-", boot >disks
			}
		}' "$CHAOS/raw.$1"
}

# Two that do not go together.
pairs_against_the_rules() {
	awk '
		function together(a, b) {
			return a == "r" && b == "r" || a == "w!" && b == "w!"
		}
		{ disk[NR] = $0; image[NR] = $5; mode[NR] = $6 }
		END {
			for (i = 1; i <= NR; i++)
				for (j = 1; j < i; j++)
					if (image[i] == image[j] && !together(mode[i], mode[j]))
						print "against the rules: " disk[j] " | " disk[i]
		}'
}

# Whoever is able to write, or relies on nobody writing, is named in the lock.
look_at_disk() { # look_at_disk HOST DOMID DEVID DOMAIN IMAGE MODE DEVICE ADDRESS BOOT-ID
	[[ $8 != - ]] || echo "published but not mapped: $*"
	grep -q "^xlrbd1,held,${6/!/%21},xen$1,[^,]*,$9,$2,$3,[^,]*,[^,]*,$8,,$4\$" "$CHAOS/entries.$5" ||
		echo "published but no entry: $*"
}

look_at_all() {
	local host image disk pids=()

	for host in 1 2; do
		case $(away $host) in
		off)
			: >"$CHAOS/disks.$host"
			: >"$CHAOS/nodes.$host"
			;;
		frozen)
			# What is left of it was certain already when it was forgotten that it moved.
			grep -vwFf "$CHAOS/moving.$host" "$CHAOS/disks.$host" >"$CHAOS/certain" || :
			mv "$CHAOS/certain" "$CHAOS/disks.$host"
			;;
		*) look_at_host $host >"$CHAOS/found.$host" & pids+=($!) ;;
		esac
	done
	for image in "${!HEADER[@]}"; do
		entries "$image" >"$CHAOS/entries.$image" &
		pids+=($!)
	done
	wait "${pids[@]}"
	fenced_clients >"$CHAOS/fenced"
	cat "$CHAOS"/found.* 2>/dev/null
	rm -f "$CHAOS"/found.*
	awk 'FILENAME ~ /fenced$/ { fenced[$1]; next } !($8 in fenced)' \
		"$CHAOS/fenced" "$CHAOS/disks.1" "$CHAOS/disks.2" >"$CHAOS/able"
	pairs_against_the_rules <"$CHAOS/able"
	while read -r disk; do
		# shellcheck disable=SC2086 # words
		look_at_disk $disk
	done <"$CHAOS/able"
}

show_state() {
	local host image

	for host in 1 2; do
		echo "xen$host: $(away $host)"
		cat "$CHAOS/disks.$host"
	done
	for image in "${!HEADER[@]}"; do
		echo "entries of $image:"
		cat "$CHAOS/entries.$image"
	done
	echo "fenced:"
	cat "$CHAOS/fenced"
}
