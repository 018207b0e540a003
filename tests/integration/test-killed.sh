#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The helper is killed at every step of add and remove, and then something
# follows: the same add, another host's add, another domain's on this host, gc,
# or libxl's destroy; while the cluster is fine, or without its monitors, or
# without its OSDs.  Each cell has an expected outcome, and in the end nothing
# is left of any.
#
# All cells of one state of the cluster run side by side, each with an image
# and a domain of its own, so that they share one outage.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
# In the targets; the 30 s of gc for a pool are its own.
TIMEOUT=10
# What a busy machine may add to a deadline; libxl's own end is at 40 s.
SLACK=12000
FOLLOWERS=(add other domain gc destroy)
# Older ones are nobody's, see lock.c.
PENDING_LIFE=60

# HELPER POINT SYSCALL LEFT ELSEWHERE
# SYSCALL: it is killed at the entry of this one, the nth of its kind.  Records
# are renamed into place, a child maps and unmaps, the record is unlinked: the
# seams between the steps.  "?": looked up in a helper that lives.  rados_*: a
# call of librados instead.
# LEFT: nothing; an entry, or at least the record of one; a map as well; all,
# and published.  ELSEWHERE: what another host's add meets then.
POINTS=(
	"add before-anything flock:1 nothing attached"
	"add before-registering rename:1 nothing attached"
	"add recorded rados_lock_shared:1 entry attached"
	"add registered rename:2 entry attaching"
	"add before-mapping ? entry attaching"
	"add mapped rename:3 map attaching"
	"add held-twice rados_break_lock:1 map held"
	"add held ? map held"
	"add publishing ? map held"
	"add published unlink:1 published held"
	"remove before-anything flock:1 map held"
	"remove before-unmapping ? map held"
	"remove unmapped ? entry held"
	"remove connected rados_break_lock:1 entry held"
	"remove withdrawn unlink:1 entry attached"
	"remove record-deleted unlink:3 nothing attached"
)
# Helpers that were waiting for the cluster when they were killed.  What they
# had asked a frozen OSD for it may do when it thaws, or not.  "stop:": it is
# stopped there before the outage, and goes on in it.
# shellcheck disable=SC2034 # make_cells
WAITING_fine=()
# shellcheck disable=SC2034 # make_cells
WAITING_mon=(
	"add connecting now nothing attached"
	"remove connecting now entry held"
)
# shellcheck disable=SC2034 # make_cells, look_up
WAITING_osd=(
	"add opening now nothing attached"
	"add registering stop:rename:1 entry attaching|attached"
	"add promoting stop:rename:3 map held|attaching"
	"remove unmapping now entry held"
	"remove withdrawing stop:? entry held|attached"
)

# Reads a trace: prints the call that starts the child which maps or unmaps,
# the first and last rt_sigaction behind the last rename (talking to xenstored
# takes two a request), and the first thread that is started after the child.
read_trace() {
	awk '/^(clone3?|v?fork)\(/ {
			name = substr($0, 1, index($0, "(") - 1)
			call = name ":" ++n[name]
			if (!later) later = call
		}
		/^wait4/ { if (!waited++) child = call; later = "" }
		/^rename/ { first = 0 }
		/^rt_sigaction/ { last = ++s; if (!first) first = s }
		END { print child, first, last, later }' "$WORLD/trace"
}

# Replaces the "?" of a point.
look_up() { # look_up HELPER POINT CALL
	local line list i

	for list in POINTS WAITING_osd; do
		declare -n points=$list
		for i in "${!points[@]}"; do
			line=${points[i]}
			[[ $line != "$1 $2 "* ]] || points[i]=${line/\?/$3}
		done
	done
}

find_points() {
	local child later first last

	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	XLRBD_WRAPPER="strace -o $WORLD/trace" rbd_add 1 1 $DISK 2>/dev/null
	read -r child first last later < <(read_trace)
	look_up add before-mapping "$child"
	look_up add held "rt_sigaction:$first"
	# The one before the commit, which is the last request.
	look_up add publishing "rt_sigaction:$((last - 1))"
	XLRBD_WRAPPER="strace -o $WORLD/trace" vbd_gone 1 1 $DISK 2>/dev/null
	read -r child first last later < <(read_trace)
	look_up remove before-unmapping "$child"
	look_up remove unmapped "$later"
	look_up remove withdrawing "$later"
	rbd rm --no-progress image
}

# A cell is a domain of that number, with image imgN; its facts:
declare -a HELPER POINT SYSCALL LEFT ELSEWHERE FOLLOWER HOST

# gc looks at all that its host has left, so each has a host of its own.  So
# has each unmap that hangs: writes to one file of FUSE wait for each other,
# those to sysfs do not.
make_cells() { # make_cells fine|mon|osd
	local point follower n=0 own_host=3
	declare -n waiting=WAITING_$1

	POINT=()
	for point in "${POINTS[@]}" "${waiting[@]}"; do
		for follower in "${FOLLOWERS[@]}"; do
			n=$((n + 1))
			read -r "HELPER[n]" "POINT[n]" "SYSCALL[n]" "LEFT[n]" "ELSEWHERE[n]" <<<"$point"
			FOLLOWER[n]=$follower
			case "$follower ${LEFT[n]} ${POINT[n]}" in
			gc\ * | *" unmapping") HOST[n]=$((own_host++)) ;;
			other\ * | domain\ *) HOST[n]=1 ;;
			*" map "* | *" published "*) HOST[n]=$((own_host++)) ;;
			*) HOST[n]=1 ;;
			esac
		done
	done
}

# Runs COMMAND CELL for all cells, so many at once; a failure is a broken test.
for_cells() { # for_cells AT-ONCE COMMAND
	local n

	for n in "${!POINT[@]}"; do
		while (($(jobs -rp | wc -l) >= $1)); do
			wait -n || true
		done
		{
			echo "-- $2 ${HELPER[n]} ${POINT[n]}, ${FOLLOWER[n]}"
			rm -f "$WORLD/cell/$n.done"
			"$2" "$n"
			: >"$WORLD/cell/$n.done"
		} >>"$WORLD/cell/$n.log" 2>&1 &
	done
	wait
	for n in "${!POINT[@]}"; do
		[[ -e $WORLD/cell/$n.done ]] || {
			cat "$WORLD/cell/$n.log"
			fail "$2 of cell $n: ${HELPER[n]} ${POINT[n]}, ${FOLLOWER[n]}"
		}
	done
}

new_disk() { # new_disk CELL: as libxl makes it, once more if need be
	vbd_forget "${HOST[$1]}" "$1" $DISK
	vbd_new "${HOST[$1]}" "$1" $DISK w "rbd:img$1,timeout=$TIMEOUT"
}

run_helper() { # run_helper CELL WRAPPER...
	local n=$1

	[[ ${HELPER[n]} == add ]] ||
		write_keys "${HOST[n]}" "$(backend_path "$n" $DISK)" online 0 state 6
	XLRBD_WRAPPER=${*:2} "rbd_${HELPER[n]}" "${HOST[n]}" "$n" $DISK
}

injecting() { # injecting SYSCALL:NTH SIGNAL
	case $1 in
	rados_*) echo "env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=$1" ;;
	*) echo "strace -qqq -o /dev/null -e trace=${1%:*} -e inject=${1%:*}:signal=$2:when=${1#*:}" ;;
	esac
}

prepare() { # prepare CELL
	local n=$1

	rbd create --size 10M "img$n"
	new_disk "$n"
	[[ ${HELPER[n]} == add ]] || rbd_add "${HOST[n]}" "$n" $DISK
	case ${SYSCALL[n]} in
	now | stop:*) ;;
	*)
		expect_fail run_helper "$n" "$(injecting "${SYSCALL[n]}" KILL)"
		expect_match "$OUTPUT" 'exit 137'
		date +%s >"$WORLD/cell/$n.killed"
		;;
	esac
}

is_stopped() { # is_stopped CELL
	[[ -s $WORLD/cell/$1.pid && $(ps -o stat= -p "$(<"$WORLD/cell/$1.pid")") == [Tt]* ]]
}

is_unmapped() { # is_unmapped CELL
	! krbd "${HOST[$1]}" maps | grep -q "/img$1@"
}

start_stopped() { # start_stopped CELL: before the outage
	[[ ${SYSCALL[$1]} == stop:* ]] || return 0
	expect_fail run_helper "$1" "$(injecting "${SYSCALL[$1]#stop:}" STOP) $WORLD/with-pid $WORLD/cell/$1.pid" &
	eventually 20 is_stopped "$1"
}

# In the outage.  How far it comes in a second makes no difference.
kill_waiting() { # kill_waiting CELL
	local pid

	case ${SYSCALL[$1]} in
	now) expect_fail run_helper "$1" "$WORLD/with-pid $WORLD/cell/$1.pid" & ;;
	stop:*) ;;
	*) return 0 ;;
	esac
	eventually 20 test -s "$WORLD/cell/$1.pid"
	pid=$(<"$WORLD/cell/$1.pid")
	kill -CONT "$pid"
	sleep 1
	[[ ${POINT[$1]} != unmapping ]] || eventually 20 is_unmapped "$1"
	kill -KILL "$pid"
	date +%s >"$WORLD/cell/$1.killed"
	wait
}

# A sentence of the library as a word for the table.
word() {
	case $1 in
	*"no monitor of /etc/ceph/ceph.conf ("*" answered in time; "*) echo no-monitor ;;
	*"open rbd/img"*": the OSDs did not answer in time; "*) echo open-timeout ;;
	*"list images of rbd: the OSDs did not answer in time; "*) echo list-timeout ;;
	*"withdraw the lock entry of rbd/img"*": the OSDs did not answer in time; "*) echo withdraw-timeout ;;
	*"unmap /dev/rbd"*"the kernel did not finish in time; "*) echo unmap-timeout ;;
	"rbd/img"*": held for writing by domain "*" on host xen"*" since "*) echo held ;;
	"rbd/img"*": being attached for writing by domain "*" on host xen"*" at "*) echo attaching ;;
	*) echo "'$1'" ;;
	esac
}

gc() { # gc HOST: as the helpers, sets RC, ERR and MS
	local program start=${EPOCHREALTIME/./}

	program=$(find_block_rbd)
	RC=0
	ERR=$(host "$1" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" \
		"$program" gc 2>&1) || RC=$?
	MS=$(((${EPOCHREALTIME/./} - start) / 1000))
	echo "gc: exit $RC, $MS ms: $ERR"
	return "$RC"
}

# One add or remove or gc, and what it came to, in a word.
outcome() { # outcome WORD-OF-SUCCESS LIMIT-MS COMMAND HOST [DOMID DEVID]
	local good=$1 limit=$2 text

	shift 2
	if "$@" >&2; then
		echo "$good"
	else
		text=$ERR
		[[ $1 != rbd_add ]] || text=$(vbd_read "$2" "$3" "$4" hotplug-error)
		[[ $1 != gc ]] || text=${text##*block-rbd: gc: }
		word "$text"
	fi
	((MS <= limit)) || echo "late:$MS-ms"
	(($(grep -c 'not everything was undone' <<<"$ERR") < 2)) || echo twice
	[[ $1 == gc ]] || echo "$MS" >>"$WORLD/cell/times"
}

follow() { # follow CELL
	local n=$1 limit=$((TIMEOUT * 1000 + SLACK))

	case ${FOLLOWER[n]} in
	add) # After a remove or a failed add libxl makes the nodes anew.
		[[ ${HELPER[n]} == add && -z $(vbd_read "${HOST[n]}" "$n" $DISK hotplug-error) ]] || new_disk "$n"
		outcome attached $limit rbd_add "${HOST[n]}" "$n" $DISK
		;;
	other)
		vbd_new 2 $((n + 500)) $DISK w "rbd:img$n,timeout=$TIMEOUT"
		outcome attached $limit rbd_add 2 $((n + 500)) $DISK
		;;
	domain) # The nodes are wiped, and the image is wanted again.
		vbd_forget "${HOST[n]}" "$n" $DISK
		vbd_new "${HOST[n]}" $((n + 500)) $DISK w "rbd:img$n,timeout=$TIMEOUT"
		outcome attached $limit rbd_add "${HOST[n]}" $((n + 500)) $DISK
		;;
	gc) # libxl wiped the nodes without a word.
		vbd_forget "${HOST[n]}" "$n" $DISK
		outcome cleaned $((limit + 30000)) gc "${HOST[n]}"
		;;
	destroy)
		outcome 'done' $limit vbd_gone "${HOST[n]}" "$n" $DISK
		;;
	esac >"$WORLD/cell/$n.outcome" 2>&3
	case ${FOLLOWER[n]} in
	other) vbd_gone 2 $((n + 500)) $DISK 2>&3 ;;
	domain) vbd_gone "${HOST[n]}" $((n + 500)) $DISK 2>&3 ;;
	esac
}

# The follow-up while the cluster is gone.
follow_without_cluster() { # follow_without_cluster CELL
	local n=$1

	follow "$n" 3>&2
	tr '\n' ' ' <"$WORLD/cell/$n.outcome" >"$WORLD/cell/$n.first"
	# What could not be undone is on record.
	[[ ${LEFT[n]} == nothing ]] ||
		host "${HOST[n]}" test -e "${XLRBD_RUNDIR:-/run/xlrbd}/vbd-$n-$DISK"
}

follow_with_cluster() { # follow_with_cluster CELL
	local n=$1

	# libxl never calls remove again.  What its failing has left is for gc.
	if [[ ${FOLLOWER[n]} == destroy && -e $WORLD/cell/$n.first ]]; then
		echo gc
	else
		follow "$n" 3>&2
		tr '\n' ' ' <"$WORLD/cell/$n.outcome"
	fi 3>&2 >"$WORLD/cell/$n.second"
	[[ ! ${LEFT[n]} =~ entry|map ]] || [[ ${FOLLOWER[n]} != add ]] || {
		expect_eq "$(krbd "${HOST[n]}" maps | grep -c "/img$n@")" 1 "mappings after add"
		expect_eq "$(lockers "img$n" | grep -o xlrbd1 | wc -l)" 1 "entries after add"
	}
	[[ ${FOLLOWER[n]} != add ]] || vbd_gone "${HOST[n]}" "$n" $DISK
}

# What an outage makes of the follow-up.
expected_first() { # expected_first CELL mon|osd
	case "$2 ${FOLLOWER[$1]} ${LEFT[$1]}" in
	*" add published") echo attached ;; # and was before
	*" destroy nothing") echo "done" ;;
	mon\ *) echo no-monitor ;;
	*" other "* | *" domain "* | *" add nothing") echo open-timeout ;;
	*" gc nothing") echo list-timeout ;;
	*" entry") echo withdraw-timeout ;;
	*" map" | *" published") echo unmap-timeout ;;
	esac
}

expected_second() { # expected_second CELL
	case ${FOLLOWER[$1]} in
	add | domain) echo attached ;;
	gc) echo cleaned ;;
	destroy) if [[ -e $WORLD/cell/$1.first ]]; then echo gc; else echo "done"; fi ;;
	other)
		# A pending entry that has become old may be broken.
		if (($(date +%s) - $(<"$WORLD/cell/$1.killed") < PENDING_LIFE)); then
			echo "${ELSEWHERE[$1]}"
		else
			echo "${ELSEWHERE[$1]/attaching/attaching|attached}"
		fi
		;;
	esac
}

# Adds to BAD what came to something else.
compare() { # compare CELL WHICH EXPECTED
	local found

	found=$(<"$WORLD/cell/$1.$2")
	[[ "${found% }" =~ ^($3)$ ]] ||
		BAD+=("${HELPER[$1]} ${POINT[$1]}, ${FOLLOWER[$1]} ($2): found '${found% }', expected '$3'; cell $1")
}

print_table() { # print_table: a line a point, in the order of FOLLOWERS
	local n line=

	echo "note: $(printf '%-26s' 'helper killed')$(printf '%-29s' 'same add' "other host's add" "other domain's add" gc destroy)"
	for n in "${!POINT[@]}"; do
		line+=$(printf '%-29s' "$( ([[ ! -e $WORLD/cell/$n.first ]] || printf '%s> ' "$(<"$WORLD/cell/$n.first")"); cat "$WORLD/cell/$n.second")")
		((n % ${#FOLLOWERS[@]})) || {
			echo "note: $(printf '%-26s' "${HELPER[n]} ${POINT[n]}")$line"
			line=
		}
	done
	echo "note: ${#POINT[@]} cells, the longest add or remove took $(sort -n "$WORLD/cell/times" | tail -n 1) ms"
}

# Everybody's leftovers go, whatever their cell came to.
clean_up() {
	local n

	for n in "${!POINT[@]}"; do
		vbd_forget "${HOST[n]}" "$n" $DISK
	done
	for n in $(printf '%s\n' "${HOST[@]}" | sort -nu); do
		gc "$n"
	done
	nothing_left
}

killed_then() { # killed_then fine|mon|osd
	local n
	BAD=()

	rm -rf "$WORLD/cell"
	mkdir "$WORLD/cell"
	make_cells "$1"
	for_cells 4 prepare
	if [[ $1 != fine ]]; then
		for_cells 100 start_stopped
		cluster pause "$1"
		for_cells 100 kill_waiting
		for_cells 100 follow_without_cluster
		cluster resume "$1"
	fi
	for n in "${!POINT[@]}"; do
		[[ $1 == fine ]] || compare "$n" first "$(expected_first "$n" "$1")"
	done
	for_cells 4 follow_with_cluster
	for n in "${!POINT[@]}"; do
		compare "$n" second "$(expected_second "$n")"
	done
	print_table
	for n in "${BAD[@]}"; do
		cat "$WORLD/cell/${n##* }.log"
		echo "$n"
	done
	((${#BAD[@]} == 0)) || fail "${#BAD[@]} of ${#POINT[@]} cells"
	clean_up
}

make_cells osd
world_start "$(printf '%s\n' "${HOST[@]}" | sort -n | tail -n 1)"
# A wrapper that says which process the helper is.
# shellcheck disable=SC2016 # for that shell
printf '#!/bin/sh\necho $$ >"$1"; shift; exec "$@"\n' >"$WORLD/with-pid"
chmod +x "$WORLD/with-pid"
find_points
t "helpers killed, the cluster is fine" killed_then fine
t "helpers killed, then the monitors are gone" killed_then mon
t "helpers killed, then the OSDs are gone" killed_then osd
summary
