#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Chaos: helpers that attach, detach and migrate at once on three hosts, while
# some of them are killed, hosts lose power or network, and the cluster stops
# for a while; and some take over what the dead have held.  Whatever happens,
# those who are able to write keep to the rules (oracle.sh), and in the end
# everything can be cleaned up.
#
#	XLRBD_ROUNDS	how many rounds (100)
#	XLRBD_SEED	that of an earlier run: the same dice; what the machine
#			makes of them in time is its own affair
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/oracle.sh
source "$TESTS/integration/oracle.sh"
# shellcheck source=tests/integration/chaos.sh
source "$TESTS/integration/chaos.sh"

ROUNDS=${XLRBD_ROUNDS:-100}
SEED=${XLRBD_SEED:-$((SRANDOM % 1000000))}
HOSTS=3
# Disks that a host may have at the same time; all of one domain each.
SLOTS=3
IMAGES=(shared plain busy)
MODES=(w w w w r r w! w! r!)
CHAOS=$WORLD/chaos
# With XLRBD_KEEP it is kept.
LOG=$WORLD/ceph/log/chaos.log

# WEIGHT ACTION SLOT SECOND-SLOT
# What they do is in chaos.sh.  What kind of slot an action takes is said here: free, used, source (of a migration) and so on, see
# is_slot(); "-" is none, and an action for which there is none is left out.
ACTIONS=(
	"34 attach free -"
	"22 detach used -"
	"8 destroy used -"
	"8 again used -"
	"10 migrate source elsewhere"
	"14 finish incoming partner"
	"8 gc - -"
	"3 crash - -"
	"4 cut - -"
	"3 pause - -"
)

WEIGHTS=$(printf '%s\n' "${ACTIONS[@]}" | awk '{ sum += $1 } END { print sum }')

is_slot() { # is_slot N KIND
	if [[ -n ${TAKEN[$1]:-} ]] || is_away "$(host_of "$1")"; then
		return 1
	fi
	slot "$1"
	case $2 in
	free) [[ $STATE == off ]] ;;
	used) [[ $STATE != off ]] ;;
	source) [[ $STATE == on && $NAME != *--incoming && -z $(partner_of "$1") ]] ;;
	incoming) [[ $STATE != off && $NAME == *--incoming ]] ;;
	elsewhere) [[ $STATE == off && $(host_of "$1") != $(host_of "$A") ]] ;;
	esac
}

# The first slot of that kind from where the dice point; sets FOUND.
find_slot() { # find_slot START KIND
	local i

	case $2 in
	-) FOUND= ; return ;;
	partner) # Which may be on a host that is away: then it is left alone.
		FOUND=$(partner_of "$A")
		[[ -z $FOUND || -z ${TAKEN[$FOUND]:-} ]]
		return
		;;
	esac
	for ((i = 0; i < HOSTS * SLOTS; i++)); do
		FOUND=$((($1 + i) % (HOSTS * SLOTS)))
		! is_slot $FOUND "$2" || return 0
	done
	return 1
}

# Always the same number of dice, so that a seed means the same rounds.
roll() {
	D_ACTION=$((RANDOM % WEIGHTS))
	D_A=$((RANDOM % (HOSTS * SLOTS)))
	D_B=$((RANDOM % (HOSTS * SLOTS)))
	D_HOST=$((1 + RANDOM % HOSTS))
	D_IMAGE=${IMAGES[RANDOM % ${#IMAGES[@]}]}
	# They shall meet.
	((RANDOM % 3 == 0)) || D_IMAGE=$POPULAR
	D_MODE=${MODES[RANDOM % ${#MODES[@]}]}
	D_KILL=$((RANDOM % 3 ? 0 : 20 + RANDOM % 200))
	D_MS=$((RANDOM % 3000))
	D_LONG=$((RANDOM % 3 == 0))
	D_COIN=$((RANDOM % 2))
	D_WHO=$((RANDOM % 2))
	D_TAKE=$((RANDOM % 2))
}

# Hosts whose time has come return, or all of them.
return_hosts() { # return_hosts ROUND
	local n

	for ((n = 1; n <= HOSTS; n++)); do
		if [[ -e $CHAOS/off.$n ]] && (($(<"$CHAOS/off.$n") <= $1)); then
			come_back $n
		fi
		if [[ -e $CHAOS/cut.$n ]] && (($(<"$CHAOS/cut.$n") <= $1)); then
			rm "$CHAOS/cut.$n"
			host_join $n
		fi
	done
}

# An image that nobody has, if there is one: there is most to be had.
find_popular() { # find_popular FIRST
	local i

	for ((i = 0; i < ${#IMAGES[@]}; i++)); do
		POPULAR=${IMAGES[($1 + i) % ${#IMAGES[@]}]}
		! grep -qsE " $POPULAR [^ ]* (on|half)$" "$CHAOS"/slot.* || continue
		return 0
	done
}

# Rolls one action and starts it, if there is something to do it to.
start_action() {
	local sum=0 line weight kind_a kind_b

	roll
	for line in "${ACTIONS[@]}"; do
		read -r weight ACTION kind_a kind_b <<<"$line"
		sum=$((sum + weight))
		((D_ACTION >= sum)) || break
	done
	# One of a kind is enough for a round.
	[[ $kind_a != - || -z ${TAKEN[$ACTION]:-} ]] || return 0
	find_slot "$D_A" "$kind_a" || return 0
	A=$FOUND
	find_slot "$D_B" "$kind_b" || return 0
	B=$FOUND
	TAKEN[${A:-$ACTION}]=1
	[[ -z $B ]] || TAKEN[$B]=1
	{
		echo "-- round $ROUND: $ACTION, slots ${A:--} ${B:--}, host $D_HOST, $D_IMAGE $D_MODE, kill after $D_KILL ms, ms $D_MS, long $D_LONG, coin $D_COIN"
		set +e
		"do_$ACTION"
		echo "-- end of $ACTION"
	} >"$CHAOS/log.$ROUND.$1" 2>&1 &
}

one_round() {
	local actions i found
	declare -A TAKEN=()

	return_hosts "$ROUND" >>"$LOG" 2>&1
	actions=$((2 + RANDOM % 4))
	find_popular $((RANDOM % ${#IMAGES[@]}))
	for ((i = 0; i < actions; i++)); do
		start_action $i
	done
	wait
	found=$(look_at_all)
	[[ -z $found ]] || wrong "$found" >/dev/null
	cat "$CHAOS"/log.* >>"$LOG" 2>/dev/null || true
	[[ ! -e $CHAOS/wrong ]] || {
		cat "$CHAOS"/log.*
		cat "$CHAOS/wrong"
		fail "round $ROUND, with XLRBD_SEED=$SEED"
	}
	rm -f "$CHAOS"/log.*
}

# What gc may do only later: watches take half a minute to expire, and entries
# of attaches that were never finished a minute to count for nothing.
can_be_had() { # can_be_had IMAGE: by anybody, after gc everywhere
	local n rc=0

	for ((n = 1; n <= HOSTS; n++)); do
		gc $n || return 1
	done
	vbd_new 1 9999 $DISK w "rbd:$1"
	rbd_add 1 9999 $DISK || rc=$?
	vbd_gone 1 9999 $DISK || return 1
	return $rc
}

finale() {
	local n image

	return_hosts 999999
	D_KILL=0 D_COIN=1 D_TAKE=0
	for ((n = 0; n < HOSTS * SLOTS; n++)); do
		slot $n
		[[ $STATE == off ]] || withdraw $n 1
	done
	[[ ! -e $CHAOS/wrong ]] || fail "$(<"$CHAOS/wrong")"
	for image in "${IMAGES[@]}"; do
		eventually 120 can_be_had "$image"
	done
	for ((n = 1; n <= HOSTS; n++)); do
		gc $n
	done
	nothing_left
}

how_many() { # how_many REGEX
	grep -cE "^($1)\$" "$CHAOS/counts" || true
}

chaos() {
	mkdir "$CHAOS"
	: >"$CHAOS/counts"
	rbd create --size 10M "${IMAGES[0]}"
	rbd create --size 10M --image-feature layering "${IMAGES[1]}"
	rbd create --size 10M "${IMAGES[2]}"
	oracle_start "${IMAGES[@]}"
	RANDOM=$SEED
	for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
		one_round
	done
	echo "the end, with XLRBD_SEED=$SEED"
	finale
	echo "note: seed $SEED, $ROUNDS rounds: attached $(how_many 'add done'), refused $(how_many 'add refused'), failed $(how_many '(add|remove) failed'); detached $(how_many 'remove done')"
	echo "note: helpers killed $(how_many '.* killed'), hosts crashed $(how_many crash), cut off $(how_many cut), cluster paused $(how_many 'pause .*'), gc $(how_many gc)"
	echo "note: clients fenced by takeovers $(wc -l <"$WORLD/fenced")"
	echo "note: migrations begun $(how_many 'migration begun'), finished $(how_many 'migration finished'), failed $(how_many 'migration failed')"
}

world_start $HOSTS
# Watches end while their hosts are away, so that there is something to take.
ceph config set osd osd_client_watch_timeout 5
echo "# XLRBD_SEED=$SEED"
t "$ROUNDS rounds of chaos on $HOSTS hosts" chaos
summary
