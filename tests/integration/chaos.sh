# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What test-chaos.sh does to its hosts.  An action is a function do_ACTION that
# finds in $A its slot, in $B its second one, the number of the round in $ROUND,
# and what the dice said in $D_*, see roll().  It runs in a subshell beside
# others and goes on when something fails; what must not be it reports by
# wrong(), what shall be counted by count().

DISK=51712

# A slot is a file "DOMID UUID NAME IMAGE MODE STATE", of the last domain that
# was there.  STATE: on, half (something failed or was killed), off.
slot() { # slot N: sets DOMID UUID NAME IMAGE MODE STATE
	DOMID='' UUID='' NAME='' IMAGE='' MODE='' STATE=off
	[[ ! -e $CHAOS/slot.$1 ]] ||
		read -r DOMID UUID NAME IMAGE MODE STATE <"$CHAOS/slot.$1"
}

slot_is() { # slot_is N STATE: and what slot() has set
	echo "$DOMID $UUID $NAME $IMAGE $MODE $2" >"$CHAOS/slot.$1"
}

host_of() { # host_of SLOT
	echo $((1 + $1 / SLOTS))
}

# A host that is off, or has been cut off for longer, takes no orders.
is_away() { # is_away HOST
	[[ -e $CHAOS/off.$1 || -e $CHAOS/cut.$1 ]]
}

partner_of() { # partner_of SLOT: the other end of its migration, if it is there
	local n uuid

	slot "$1"
	uuid=$UUID
	for ((n = 0; n < HOSTS * SLOTS; n++)); do
		slot "$n"
		if ((n != $1)) && [[ $STATE != off && $UUID == "$uuid" ]]; then
			echo "$n"
			return
		fi
	done
}

seconds() { # seconds MS
	printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

count() { # count WORDS: for the note at the end
	echo "$*" >>"$CHAOS/counts"
}

wrong() { # wrong TEXT: ends the test after this round
	echo "WRONG: $*" | tee -a "$CHAOS/wrong"
}

# Sentences that may be heard here.  All others, and libxl's own 40 s, are wrong.
expected_sentence() { # expected_sentence TEXT
	local known='held for|being attached for|this attach was taken for dead'
	known+='|no monitor of .* answered in time|the OSDs did not answer in time|got no answer from the cluster in time'
	known+='|taken over from domain|somebody else has fenced it'
	known+='|the kernel did not finish in time|Device or resource busy|another helper holds it'
	[[ $1 =~ $known ]]
}

# Runs a helper, for some until it is killed.  Sets RC.
helper() { # helper add|remove HOST DOMID
	local killer='' text

	((D_KILL == 0)) || killer="timeout --foreground -s KILL $(seconds "$D_KILL")"
	RC=0
	XLRBD_WRAPPER=$killer "rbd_$1" "$2" "$3" $DISK || RC=$?
	# timeout's own, when it came a moment too late.
	((RC != 124)) || RC=137
	[[ ! -e $CHAOS/off.$2 ]] || { count "$1 lost with its host"; return; }
	case $RC in
	0) count "$1 done" ;;
	137)
		count "$1 killed"
		((D_KILL)) || wrong "$1 did not end"
		;;
	*)
		text=$ERR
		[[ $1 != add ]] || text=$(vbd_read "$2" "$3" $DISK hotplug-error)
		count "$1 $(if [[ $text =~ held\ for|being\ attached ]]; then echo refused; else echo failed; fi)"
		expected_sentence "$text" || [[ -e $CHAOS/off.$2 ]] || wrong "$1 on host $2 for domain $3: exit $RC, $text"
		;;
	esac
}

look_here() { # look_here HOST DOMID IMAGE
	local found

	found=$(look_after_add "$@")
	[[ -z $found ]] || wrong "$found"
}

# In a slot whose file is written: the add, and what follows from it.
add() { # add SLOT
	local host

	host=$(host_of "$1")
	slot_is "$1" half
	helper add "$host" "$DOMID"
	((RC != 0)) || {
		slot_is "$1" on
		look_here "$host" "$DOMID" "$IMAGE"
		((D_MS % 3 == 0)) || open_disk "$1"
	}
	# Of an add that fails libxl knows, and withdraws the disk in one way or
	# the other.  One that was killed here waits for what comes next.
	((RC == 0 || RC == 137)) || withdraw "$1" "$D_COIN"
}

open_disk() { # open_disk SLOT
	[[ ! -e $CHAOS/open.$1 ]] || return 0
	blkback_open "$(host_of "$1")" "$DOMID" $DISK
	vbd_read "$(host_of "$1")" "$DOMID" $DISK physical-device-path >"$CHAOS/open.$1"
}

# blkback lets go of it, perhaps after a moment.
close_disk() { # close_disk SLOT
	local device

	[[ -e $CHAOS/open.$1 ]] || return 0
	device=$(<"$CHAOS/open.$1")
	rm "$CHAOS/open.$1"
	((D_COIN)) || sleep "$(seconds $((D_MS / 5)))"
	krbd "$(host_of "$1")" close "${device#/dev/rbd}" || true
	host "$(host_of "$1")" rm -r "/sys/bus/xen-backend/devices/vbd-$DOMID-$DISK"
}

# libxl is done with the disk: after remove, or without a word to anybody.
withdraw() { # withdraw SLOT WITH-REMOVE
	local host

	host=$(host_of "$1")
	slot "$1"
	if (($2)); then
		write_keys "$host" "$(backend_path "$DOMID" $DISK)" online 0 state 6
		close_disk "$1" &
		helper remove "$host" "$DOMID"
		vbd_forget "$host" "$DOMID" $DISK
		wait
	else
		vbd_forget "$host" "$DOMID" $DISK
		close_disk "$1"
	fi
	slot_is "$1" off
}

# A new domain, or at times the last one of this slot, with another disk; but
# not while somebody goes about with its UUID, who has come by migration.
do_attach() {
	slot "$A"
	if [[ $UUID != "$(printf '%08x' "$A")"-* || -n $(partner_of "$A") ]] || is_ghost "$UUID" || ((D_MS % 3)); then
		DOMID=$((ROUND * 10 + A))
		UUID=$(default_uuid "$A" "$ROUND")
	fi
	echo "$DOMID $UUID vm$DOMID $D_IMAGE $D_MODE half" >"$CHAOS/slot.$A"
	new_disk "$A"
	add "$A"
}

is_ghost() { # is_ghost UUID
	grep -qsF " $1 " "$WORLD/ghosts" "$WORLD/ghosts.fresh"
}

new_disk() { # new_disk SLOT
	slot "$1"
	local target=rbd:$IMAGE,mode=$MODE,timeout=10

	((D_TAKE == 0)) || target+=,takeover=fence
	vbd_new "$(host_of "$1")" "$DOMID" $DISK "${MODE:0:1}" "$target" "$NAME" "$UUID"
}

do_detach() {
	withdraw "$A" 1
}

do_destroy() {
	withdraw "$A" 0
}

# The same add again, as of a second block-attach.
do_again() {
	slot "$A"
	add "$A"
}

do_migrate() {
	slot "$A"
	echo "$((ROUND * 10 + B)) $UUID $NAME--incoming $IMAGE $MODE half" >"$CHAOS/slot.$B"
	new_disk "$B"
	add "$B"
	slot "$B"
	[[ $STATE != on ]] || count "migration begun"
}

# The source goes and the new domain gets its name, or the new one goes, as it
# does when the source's host does not answer.
do_finish() {
	slot "$A"
	if [[ $STATE != on ]] || is_ghost "$UUID" ||
		{ [[ -n $B ]] && { ((D_COIN)) || is_away "$(host_of "$B")"; }; }; then
		withdraw "$A" 1
		count "migration failed"
		return
	fi
	[[ -z $B ]] || withdraw "$B" 1
	slot "$A"
	NAME=${NAME%--incoming}
	xs "$(host_of "$A")" write "/local/domain/$DOMID/name" "$NAME"
	slot_is "$A" on
	count "migration finished"
}

gc() { # gc HOST
	local program

	program=$(find_block_rbd)
	host "$1" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" "$program" gc
}

do_gc() {
	local text

	is_away "$D_HOST" || {
		text=$(gc "$D_HOST" 2>&1) || expected_sentence "$text" || [[ -e $CHAOS/off.$D_HOST ]] || wrong "gc on host $D_HOST: $text"
		echo "gc on host $D_HOST: $text"
		count gc
	}
}

do_crash() {
	! is_away "$D_HOST" || return 0
	sleep "$(seconds $((D_MS / 6)))"
	touch "$CHAOS/off.$D_HOST"
	host_dies "$D_HOST"
	count crash
	echo $((ROUND + 1 + D_MS % 3)) >"$CHAOS/off.$D_HOST"
}

do_cut() {
	! is_away "$D_HOST" || return 0
	host_cut "$D_HOST"
	if ((D_LONG)); then
		# Long enough at times for its watches to expire.
		echo $((ROUND + 1 + D_MS % 25)) >"$CHAOS/cut.$D_HOST"
	else
		sleep "$(seconds "$D_MS")"
		host_join "$D_HOST"
	fi
	count cut
}

do_pause() {
	local who=mon

	((D_WHO)) || who=osd
	cluster pause $who
	sleep "$(seconds $((D_MS + (D_MS > 2700 ? 9000 : 0))))"
	cluster resume $who
	count "pause $who"
}

# With a fresh boot id and nothing in /run; the unit runs gc before domains.
come_back() { # come_back HOST
	local n

	host_start "$1"
	rm -f "$CHAOS/off.$1" "$CHAOS/cut.$1"
	for ((n = ($1 - 1) * SLOTS; n < $1 * SLOTS; n++)); do
		rm -f "$CHAOS/slot.$n" "$CHAOS/open.$n"
	done
	gc "$1"
}
