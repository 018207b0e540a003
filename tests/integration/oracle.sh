# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Who is able to write: what test-chaos.sh holds the rules of sharing against.
# It looks at the world, not at the locks: at what is published in each host's
# xenstore, what each host's kernel has mapped, and what died with a host.
#
#	oracle_start IMAGE...	the images, none of which has a snapshot
#	look_after_add HOST DOMID IMAGE		a disk has just been published: does anybody
#				have one that does not go with it?
#	look_at_all		while no helper runs: all pairs, and whether each
#				published disk is mapped and has its entry
#	host_dies HOST		crashes it, and remembers what it had
# Those that look print what is wrong, a line each.
#
# A disk is "HOST DOMID IMAGE MODE DEVICE UUID NAME".

declare -A HEADER LOCK

oracle_start() { # oracle_start IMAGE...
	local image

	for image; do
		HEADER[$image]=$(image_header "$image")
		# On images with exclusive-lock rbd_lock is the kernel's.
		if rbd info "$image" | grep -q exclusive-lock; then
			LOCK[$image]=xlrbd
		else
			LOCK[$image]=rbd_lock
		fi
	done
	: >"$WORLD/ghosts"
	: >"$WORLD/ghosts.fresh"
	: >"$WORLD/fenced"
}

# Tombstones name the clients that takeovers have fenced.  They may be gone when
# the client is not, so they are remembered.
note_fenced() { # note_fenced IMAGE
	local addr

	# Several do this at the same time.
	entries "$1" | awk -F , '$2 == "fenced" { print $11 }' | while read -r addr; do
		flock "$WORLD/fenced" sh -c 'grep -qxF "$1" "$0" || echo "$1" >>"$0"' "$WORLD/fenced" "$addr"
	done
}

# Of disks on stdin those whose map's client is not fenced: able to write.
able() {
	local n

	{
		for ((n = 1; n <= WORLD_HOSTS; n++)); do
			{ krbd "$n" maps 2>/dev/null || true; } | sed "s/^/map $n /"
		done
		sed 's/^/fenced /' "$WORLD/fenced"
		sed 's/^/disk /'
	} | awk '
		$1 == "map" { addr[$2, $3] = $5 }
		$1 == "fenced" { fenced[$2] = 1 }
		$1 == "disk" {
			# A ghost carries the address itself.
			a = NF > 8 ? $9 : addr[$2, $6]
			sub(/^disk /, "")
			if (!(a in fenced))
				print
		}'
}

# Of a host that has just gone, nothing.
published() { # published HOST: the disks that its blkback may use
	{ xs "$1" ls -f 2>/dev/null || true; } | awk -v host="$1" '
		{ value = $0; sub(/^[^=]* = "/, "", value); sub(/"$/, "", value); split($1, part, "/") }
		$1 ~ "^/local/domain/0/backend/vbd/[0-9]+/[0-9]+/" { node[part[7], part[9]] = value; domids[part[7]] }
		$1 ~ "^/local/domain/[0-9]+/(vm|name)$" { node[part[4], part[5]] = value }
		END {
			for (d in domids) {
				device = node[d, "physical-device-path"]
				# One that is being withdrawn, or whose domain went while we read.
				if (device == "" || node[d, "online"] != 1 || node[d, "vm"] == "" || node[d, "name"] == "")
					continue
				image = mode = node[d, "params"]
				sub(/^rbd:/, "", image); sub(/,.*/, "", image)
				sub(/.*mode=/, "", mode); sub(/,.*/, "", mode)
				uuid = node[d, "vm"]; sub(/.*\//, "", uuid)
				sub(/.*\/rbd/, "", device)
				print host, d, image, mode, device, uuid, node[d, "name"]
			}
		}'
}

all_published() {
	local n

	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		published "$n"
	done
}

# A host that is switched off writes no more; but to all others it is the same
# as one that was cut off from them, which does.  So it counts until it is back
# and its watch is gone: then it can tell for certain that its old life is over.
# Maps that only read have no watch.  A host that was only cut off is looked at
# like any other.
#
# A ghost is a disk, then the address of its map and the boot id.
host_dies() { # host_dies HOST
	local maps disk device

	maps=$(krbd "$1" maps 2>/dev/null) || true
	published "$1" >"$WORLD/dying"
	while read -r disk; do
		read -r _ _ _ _ device _ <<<"$disk"
		echo "$disk $(awk -v id="$device" '$1 == id { print $3 }' <<<"$maps") $(<"$WORLD/host$1/boot_id")"
	done <"$WORLD/dying" >>"$WORLD/ghosts.fresh"
	host_crash "$1"
}

ghosts() { # ghosts [IMAGE]: those that count
	local host domid image mode rest addr boot

	while read -r host domid image mode rest; do
		read -r _ _ _ addr boot <<<"$rest"
		[[ -z ${1:-} || $image == "$1" ]] || continue
		if [[ $boot == "$(<"$WORLD/host$host/boot_id")" ]] ||
			[[ $mode == w* && $(rados -p rbd listwatchers "${HEADER[$image]}") == *"=$addr "* ]]; then
			echo "$host $domid $image $mode $rest"
		fi
	done < <(cat "$WORLD/ghosts" "$WORLD/ghosts.fresh")
}

# Forgets those that count no more.  When the host died, a remove may have been
# under way, or even done: whose entry is gone then was no holder any more.
look_at_ghosts() {
	local ghost host domid image boot

	ghosts | able >"$WORLD/ghosts.now"
	while read -r ghost; do
		read -r host domid image _ _ _ _ _ boot <<<"$ghost"
		if grep -q "^xlrbd1,held,[^,]*,xen$host,[^,]*,$boot,$domid," "$WORLD/entries.$image"; then
			echo "$ghost" >>"$WORLD/ghosts.next"
		elif ! grep -qxF "$ghost" "$WORLD/ghosts.fresh"; then
			echo "still able to write but no entry: $ghost"
		fi
	done <"$WORLD/ghosts.now"
	touch "$WORLD/ghosts.next"
	mv "$WORLD/ghosts.next" "$WORLD/ghosts"
	: >"$WORLD/ghosts.fresh"
}

entries() { # entries IMAGE: the cookies in its lock
	rados -p rbd lock info "${HEADER[$1]}" "${LOCK[$1]}" |
		jq -r '.lockers[].cookie'
}

# From disks on stdin, pairs that do not go together; of HOST DOMID only, if
# given.  Two of one UUID are a migration if one is on its way in.
pairs_against_the_rules() { # pairs_against_the_rules [HOST DOMID]
	awk -v host="${1:-}" -v domid="${2:-}" '
		function together(i, j) {
			return mode[i] == "r!" || mode[j] == "r!" ||
				mode[i] == "r" && mode[j] == "r" || mode[i] == "w!" && mode[j] == "w!" ||
				uuid[i] == uuid[j] && (name[i] " " name[j] " ") ~ /--incoming /
		}
		{ disk[NR] = $0; who[NR] = $1 " " $2; image[NR] = $3; mode[NR] = $4; uuid[NR] = $6; name[NR] = $7 }
		END {
			for (i = 1; i <= NR; i++)
				for (j = 1; j < i; j++)
					if (image[i] == image[j] && who[i] != who[j] && !together(i, j) &&
						(host == "" || who[i] == host " " domid || who[j] == host " " domid))
						print "against the rules: " disk[j] " | " disk[i]
		}'
}

# The new disk stays until the end of the round.  Whatever else is published
# and wanted now is so at the same time; whatever it was a moment ago, and what
# others are among themselves, says nothing.  Fences are looked at last: whoever
# takes over from the new disk (one that only reads can be taken from while it
# lives) has its fence before it is published.
look_after_add() { # look_after_add HOST DOMID IMAGE
	local disks

	disks=$({ all_published; ghosts "$3"; } | awk -v image="$3" '$3 == image')
	note_fenced "$3"
	able <<<"$disks" | pairs_against_the_rules "$1" "$2"
}

look_at_all() {
	local disk image

	for image in "${!HEADER[@]}"; do
		entries "$image" >"$WORLD/entries.$image"
		note_fenced "$image"
	done
	all_published >"$WORLD/published"
	look_at_ghosts
	cat "$WORLD/published" "$WORLD/ghosts" | able | pairs_against_the_rules
	while read -r disk; do
		# shellcheck disable=SC2086 # words
		look_at_disk $disk
	done <"$WORLD/published"
}

look_at_disk() { # look_at_disk HOST DOMID IMAGE MODE DEVICE UUID NAME
	local boot maps

	boot=$(<"$WORLD/host$1/boot_id")
	maps=$(krbd "$1" maps)
	grep -q "^$5 rbd/$3@" <<<"$maps" || echo "published but not mapped: $*"
	grep -qE "^xlrbd1,(held|fenced),${4/!/%21},xen$1,[^,]*,$boot,$2,[^,]*,$6," "$WORLD/entries.$3" ||
		echo "published but no entry: $*; there are: $(paste -sd ' ' "$WORLD/entries.$3")"
}
