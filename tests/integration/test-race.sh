#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Many attach one image at the same moment: exactly one gets it, each time.
# XLRBD_ROUNDS sets how often (200).
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
ROUNDS=${XLRBD_ROUNDS:-200}
# Two domains on each of two hosts.
RACERS=("1 1" "1 2" "2 1" "2 2")

# What libxl would make anew for each attempt.
forget_outcome() {
	local path

	path=$(backend_path "$2" $DISK)
	xs "$1" rm "$path/physical-device" "$path/physical-device-path" \
		"$path/hotplug-status" "$path/hotplug-error" 2>/dev/null || true
	write_keys "$1" "$path" state 2 online 1
}

race() { # race ROUND
	local i host domid pids=() winners=()

	for i in "${!RACERS[@]}"; do
		read -r host domid <<<"${RACERS[i]}"
		{
			rbd_add "$host" "$domid" $DISK 2>/dev/null || true
			echo "$RC $MS" >"$WORLD/racer$i"
		} &
		pids+=($!)
	done
	wait "${pids[@]}"
	for i in "${!RACERS[@]}"; do
		read -r rc ms <"$WORLD/racer$i"
		echo "$ms" >>"$WORLD/times-$((rc == 0 ? 1 : 0))"
		read -r host domid <<<"${RACERS[i]}"
		if ((rc == 0)); then
			winners+=("$i")
		else
			expect_match "$(vbd_read "$host" "$domid" $DISK hotplug-error)" \
				'^rbd/image: (held|being attached) for writing by domain vm'
		fi
	done
	expect_eq "${#winners[@]}" 1 "winners of round $1"
	expect_eq "$(lockers image | grep -o xlrbd1, | wc -l)" 1 "entries after round $1"
	read -r host domid <<<"${RACERS[winners[0]]}"
	write_keys "$host" "$(backend_path "$domid" $DISK)" online 0 state 6
	rbd_remove "$host" "$domid" $DISK 2>/dev/null
	expect_eq "$(lockers image)" "" "entries between rounds"
	for i in "${RACERS[@]}"; do
		# shellcheck disable=SC2086 # two words
		forget_outcome $i
	done
	echo "${winners[0]}" >>"$WORLD/winners"
}

percentile() { # percentile FILE PERCENT
	sort -n "$1" | awk -v p="$2" '{ v[NR] = $1 } END { print v[int((NR - 1) * p / 100) + 1] }'
}

races() { # races ROUNDS FEATURE...
	local rounds=$1 i round
	shift

	rm -f "$WORLD"/times-? "$WORLD/winners"
	rbd create --size 10M "${@/#/--image-feature=}" image
	for i in "${RACERS[@]}"; do
		# shellcheck disable=SC2086 # two words
		vbd_new $i $DISK w rbd:image
	done
	for ((round = 1; round <= rounds; round++)); do
		race "$round"
	done
	for i in "${RACERS[@]}"; do
		# shellcheck disable=SC2086 # two words
		vbd_gone $i $DISK 2>/dev/null
	done
	nothing_left
	echo "note: $rounds rounds of ${#RACERS[@]}, wins by racer: $(sort "$WORLD/winners" | uniq -c | awk '{ printf "%s%s", sep, $1; sep = ", " }')"
	for i in 1 0; do
		echo "note: $( ((i)) && echo winners || echo losers): median $(percentile "$WORLD/times-$i" 50) ms, 99 % $(percentile "$WORLD/times-$i" 99) ms, longest $(percentile "$WORLD/times-$i" 100) ms"
		# Far from the 24 s after which one that waits gives up.
		(($(percentile "$WORLD/times-$i" 100) < 10000)) || fail "somebody waited too long"
	done
}

world_start 2
t "$((ROUNDS / 2)) rounds of 4 racers, default features" races $((ROUNDS / 2))
t "$((ROUNDS - ROUNDS / 2)) rounds of 4 racers, layering only" races $((ROUNDS - ROUNDS / 2)) layering
summary
