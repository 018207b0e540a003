#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How long a guest stands still when xl migrate moves it, when xlrbd does, and when it has no disk.
. "$(dirname "$0")/migrating.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

TOOL=xlrbd
TRIPS=${XLRBD_TRIPS:-5}

# In the guest: how long it has not come to anything, if that is more than 0.2 s.  /proc/uptime also counts while it is
# suspended, by the clock of the host that it wakes up on.  All by the shell itself, and a counter that has a rest: what
# starts programs writes to as much memory as can be copied here.
# shellcheck disable=SC2016 # for the guest's shell
GAPS='mkfifo /never; n=0; was=; while read -r now rest </proc/uptime; do now=${now%.*}${now#*.}
	[ $((now - ${was:-$now})) -lt 20 ] || { n=$((n + 1)); echo "gap $n $(((now - was) * 10))"; }
	was=$now; read -t 0.05 rest; done <>/never &'

gaps() { # gaps HOST NAME: "NUMBER MILLISECONDS", as it has said there
	"$LAB" guestlog "xen$1" "$2" | sed -n 's/^gap \([0-9]* [0-9]*\)$/\1/p'
}

gap_beyond() { # gap_beyond HOST NAME NUMBER: the longest of them
	gaps "$1" "$2" | awk -v n="$3" '$1 > n && $2 > max { max = $2 } END { if (!max) exit 1; print max }'
}

# clock HOST: how many ms its clock is ahead of ours; of five answers the quickest counts.
clock() {
	local i before now after best=1000000000 ms

	for ((i = 0; i < 5; i++)); do
		before=${EPOCHREALTIME/./}
		now=$(x "$1" 'date +%s%N')
		after=${EPOCHREALTIME/./}
		((after - before < best)) || continue
		best=$((after - before))
		ms=$(((now / 1000 - (before + after) / 2) / 1000))
	done
	echo "$ms"
}

# trip TOOL NAME FROM TO: adds its figures to $FIGURES.
trip() {
	local way=$1 name=$2 from=$3 to=$4 begin=${EPOCHREALTIME/./} took said seen

	case $way in
	xlrbd) said=$(x "$from" "xlrbd migrate --json $name xen$to") ;;
	*) x "$from" "xl migrate $name xen$to" >/dev/null 2>&1 ;;
	esac
	took=$(((${EPOCHREALTIME/./} - begin) / 1000))
	# The first gap that it tells of there began here.
	seen=$(gaps "$from" "$name" | tail -n 1)
	eventually $PATIENCE gap_beyond "$to" "$name" "$((${seen% *}))" >/dev/null
	FIGURES+="$way whole $took
$way still $(($(gap_beyond "$to" "$name" "$((${seen% *}))") - CLOCK[to] + CLOCK[from]))
"
	[[ $way != xlrbd ]] || FIGURES+=$(jq -r '.[] | to_entries[] | select(.value | type == "number") |
		"xlrbd \(.key) \(.value)"' <<<"$said")$'\n'
}

web1_trip() { # web1_trip TOOL: from where it is
	find_guest
	trip "$1" web1 "$FROM" "$TO"
}

row() { # row WAY NAME
	echo "note: $(printf '%-24s %-22s %s' "$2" "$(median "$1" still) ($(range "$1" still))" \
		"$(median "$1" whole) ($(range "$1" whole))")"
}

side_by_side() {
	local i bare=1
	FIGURES='' CLOCK=(0)
	COUNTER="$GAPS"$'\n'"${COUNTER/300000/2000000}"

	find_guest
	x 2 "rm -f /var/log/xen/console/guest-bare*.log"
	"$LAB" domcfg -t pvh bare |
		x 1 "cat >/root/bare.cfg && rm -f /var/log/xen/console/guest-bare*.log && xl create /root/bare.cfg"
	"$LAB" guestwait xen1 bare "lab: guest up" $PATIENCE
	"$LAB" type xen1 -n bare "mkdir -p /data; $COUNTER"
	for i in 1 2; do
		CLOCK[i]=$(clock $i)
	done
	# Each goes as often in this direction as in that, and xlrbd is the last.
	for ((i = TRIPS; i > 0; i--)); do
		((i % 2)) || web1_trip xlrbd
		web1_trip xl
		((i % 2 == 0)) || web1_trip xlrbd
		trip bare bare $bare $((3 - bare))
		bare=$((3 - bare))
	done
	x $bare "xl destroy bare"
	echo "note: $(printf '%-24s %-26s %s' "$TRIPS trips each" "stands still: ms (range)" "whole trip: ms (range)")"
	row bare "xl migrate, no disk"
	row xl "xl migrate, a disk"
	row xlrbd "xlrbd migrate, a disk"
	for i in downtime_ms last_copy_ms restore_ms start_ms total_ms sent_kb iterations dirty_kb_per_s; do
		echo "note: $(printf '%-24s %s' "xlrbd says: $i" "$(median xlrbd $i) ($(range xlrbd $i))")"
	done
	(($(median xlrbd still) <= $(median xl still))) || fail "xlrbd's guest stands still for longer than xl's"
	find_guest
	eventually $PATIENCE no_monitor "$TO"
	at_home "$FROM"
}

the_end() {
	find_guest
	finish "$FROM"
	no_trace
}

t "how long it stands still: xl, xlrbd, and without a disk" side_by_side
t "after all of that" the_end
summary
