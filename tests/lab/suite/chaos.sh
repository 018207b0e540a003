#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Chaos on two hosts, with xl and the kernel's rbd: domains come and go, disks are attached and detached, while helpers
# are killed, hosts stand still, lose the network or power, the cluster stops for a while, and those who go on take
# images from those who do not.  Whatever happens, those who are able to write keep to the rules (chaos-oracle.sh), and
# in the end nothing is left.
#
#	XLRBD_CHAOS_SECONDS	how long (300)
#	XLRBD_SEED	that of an earlier run: the same dice; what the machine makes of them in time is its own affair
#	XLRBD_CHAOS_LOG	a file for the log of all rounds
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/lab/suite/chaos-oracle.sh
. "$(dirname "$0")/chaos-oracle.sh"
# shellcheck source=tests/lab/suite/chaos-actions.sh
. "$(dirname "$0")/chaos-actions.sh"

# The least that a guest starts with.
export XLRBD_LAB_GUEST_MEMORY=96

TIME=${XLRBD_CHAOS_SECONDS:-300}
SEED=${XLRBD_SEED:-$((SRANDOM % 1000000))}
CHAOS=$(mktemp -d)
trap 'rm -rf "$CHAOS"' EXIT
LOG=${XLRBD_CHAOS_LOG:-$CHAOS/log}
IMAGES=(whole plain)
MODES=(w w w w r r w! w!)
# On each host: one that runs, whose disk comes and goes; the others are paused at birth and live as long as their disk.
DOMAINS=(run one two)
MAX_POWER_CUTS=3
# By host: what runs there in this round, and what has stood still with it; and hosts that get power again.
RUNNING=('' '' '') HUNG=('' '' '') BOOTS=()

# WEIGHT DISTURBANCE
DISTURBANCES=(
	"25 nothing"
	"10 gc"
	"10 short_cut"
	"12 long_cut"
	"8 short_freeze"
	"12 long_freeze"
	"18 power_cut"
	"8 pause"
)
WEIGHTS=$(printf '%s\n' "${DISTURBANCES[@]}" | awk '{ sum += $1 } END { print sum }')

# Always the same number of dice, so that a seed means the same rounds.
roll_action() {
	D_SLOT=$((RANDOM % 6))
	D_IMAGE=${IMAGES[RANDOM % 2]}
	D_MODE=${MODES[RANDOM % ${#MODES[@]}]}
	D_WAY=$((RANDOM % 8))
	D_COIN=$((RANDOM % 2))
	D_MS=$((RANDOM % 1500))
}

roll_disturbance() {
	local line sum=0 die=$((RANDOM % WEIGHTS))

	for line in "${DISTURBANCES[@]}"; do
		sum=$((sum + ${line% *}))
		((die >= sum)) || break
	done
	D_DISTURBANCE=${line#* }
	D_VICTIM=$((1 + RANDOM % 2))
	D_FOR=$((RANDOM % 4000))
	D_ROUNDS=$((2 + RANDOM % 3))
	D_WHO=$((RANDOM % 2))
	D_KILL=$((RANDOM % 2))
	D_KILLED=$((1 + RANDOM % 2))
	D_PAUSE=$((RANDOM % 1200))
	D_ALL=$((RANDOM % 2))
	D_TAKE=$((RANDOM % 2))
	D_TAKEN=${IMAGES[RANDOM % 2]}
}

# Power takes its time: rounds go on meanwhile.
return_hosts() {
	local host

	for host in 1 2; do
		if [[ ! -e $CHAOS/back.$host ]] || (($(<"$CHAOS/back.$host") > ROUND)); then
			continue
		fi
		rm "$CHAOS/back.$host"
		if [[ $(away $host) == off ]]; then
			come_back $host 2>>"$LOG" &
			BOOTS+=($!)
		else
			come_back $host
			RUNNING[host]+=" ${HUNG[host]}"
			HUNG[host]=
		fi
	done
}

# A host that is cut off can be told things; that takes long, so not always.
takes_orders() { # takes_orders HOST
	local away

	away=$(away "$1")
	[[ -z $away || ($away == cut && $D_WAY -lt 3) ]]
}

# The first domain from where the dice point; sets HOST and NAME.
find_domain() {
	local i n

	for ((i = 0; i < 6; i++)); do
		n=$(((D_SLOT + i) % 6))
		HOST=$((1 + n / 3)) NAME=${DOMAINS[n % 3]}
		[[ " $TAKEN " == *" $HOST$NAME "* ]] || ! takes_orders $HOST || return 0
	done
	return 1
}

in_background() { # in_background HOST COMMAND...: it belongs to that host
	local host=$1
	shift
	(set +e; "$@") >>"$LOG" 2>&1 &
	RUNNING[host]+=" $!"
}

# What runs on a host that stands still ends when that goes on.
finish_round() {
	local host

	# shellcheck disable=SC2086 # words
	wait ${RUNNING[0]} || :
	for host in 1 2; do
		if [[ $(away $host) == frozen ]]; then
			HUNG[host]+=" ${RUNNING[host]}"
		elif [[ -n ${RUNNING[host]} ]]; then
			# shellcheck disable=SC2086 # words
			wait ${RUNNING[host]} || :
		fi
	done
}

one_round() {
	local i actions=$((2 + RANDOM % 2)) host found TAKEN=' '
	RUNNING=('' '' '')

	roll_disturbance
	# There is more to be had from one that has something.
	if [[ $D_DISTURBANCE =~ long|power && ! -s $CHAOS/disks.$D_VICTIM ]]; then
		D_VICTIM=$((3 - D_VICTIM))
	fi
	# One at a time is away.
	if [[ -n $(away 1)$(away 2) && $D_DISTURBANCE =~ cut|freeze || $(away "$D_VICTIM") == [fo]* ]]; then
		D_DISTURBANCE=nothing
	fi
	for host in 1 2; do
		[[ $(away $host) == frozen ]] || : >"$CHAOS/moving.$host"
	done
	return_hosts
	for ((i = 0; i < actions; i++)); do
		roll_action
		find_domain || continue
		TAKEN+="$HOST$NAME "
		echo "$NAME" >>"$CHAOS/moving.$HOST"
		in_background "$HOST" act "$HOST" "$NAME"
	done
	if ((D_KILL)) && [[ -z $(away "$D_KILLED") && " $TAKEN" == *" $D_KILLED"* ]]; then
		in_background "$D_KILLED" kill_helper "$D_KILLED"
	fi
	for host in 1 2; do
		if ((D_TAKE)) && [[ -n $(away $host) && -z $(away $((3 - host))) ]]; then
			in_background $((3 - host)) take $((3 - host))
		fi
	done
	# gc runs on its host; all else is done to a host from outside.
	if [[ $D_DISTURBANCE == gc ]]; then
		in_background "$D_VICTIM" do_gc
	else
		in_background 0 "do_$D_DISTURBANCE"
	fi
	finish_round
	found=$(look_at_all)
	[[ -z $found ]] || wrong "$found"
	[[ ! -e $CHAOS/wrong ]] || {
		show_state
		tail -n 30 "$LOG"
		cat "$CHAOS/wrong"
		fail "round $ROUND, with XLRBD_SEED=$SEED"
	}
}

# gc may do some of it only later: watches take their time to end.
cleaned_up() {
	local host image

	for host in 1 2; do
		x $host "block-rbd gc" || return 1
	done
	for host in 1 2; do
		[[ -z $(left $host) ]] || return 1
	done
	for image in "${IMAGES[@]}"; do
		[[ -z $(lockers "$image") ]] || return 1
	done
}

heal_all() {
	local host

	((${#BOOTS[@]} == 0)) || wait "${BOOTS[@]}" || :
	for host in mon osd; do
		"$LAB" cluster resume $host || :
	done
	for host in 1 2; do
		come_back $host
	done
}

finale() {
	local host

	heal_all
	# shellcheck disable=SC2086 # words
	wait ${HUNG[1]} ${HUNG[2]} || :
	for host in 1 2; do
		# shellcheck disable=SC2016 # for the host's shell
		x $host 'for d in $(xl list | awk "NR > 2 { print \$2 }"); do xl destroy $d; done'
	done
	eventually $PATIENCE cleaned_up || {
		tail -n 30 "$LOG"
		nothing_left "${IMAGES[@]}"
	}
	nothing_left "${IMAGES[@]}"
}

# However a test ends: Ceph's own times, no fences, and all hosts there.
back_to_normal() {
	local rc=$?

	heal_all >/dev/null 2>&1 || :
	"$LAB" ceph ceph config rm osd osd_client_watch_timeout
	"$LAB" ceph ceph osd blocklist clear 2>/dev/null
	return $rc
}

prepare() {
	local host

	BEGIN=$SECONDS ROUND=0
	trap back_to_normal EXIT
	: >"$CHAOS/counts"
	: >"$LOG"
	"$LAB" ceph ceph osd blocklist clear 2>/dev/null
	# The dead are known to be dead sooner than after 30 s.
	"$LAB" ceph ceph config set osd osd_client_watch_timeout 10
	rbd create --size 8M "rbd/${IMAGES[0]}"
	rbd create --size 8M --image-feature layering "rbd/${IMAGES[1]}"
	oracle_start "${IMAGES[@]}"
	for host in 1 2; do
		# What was installed must outlive the power.
		x $host sync
	done
}

chaos() {
	local host

	prepare
	for host in 1 2; do
		start_runner $host
		"$LAB" guestwait xen$host run "lab: guest up" $PATIENCE
	done
	look_at_all
	RANDOM=$SEED
	BEGIN=$SECONDS
	while ((SECONDS - BEGIN < TIME)); do
		ROUND=$((ROUND + 1))
		one_round
	done
	finale
	drop_image "${IMAGES[@]}"
	echo "note: seed $SEED: $ROUND rounds in $TIME s"
	echo "note: disks attached $(how_many 'attach done'), refused $(how_many 'attach refused')," \
		"failed $(how_many 'attach failed'); detached $(how_many 'detach done')," \
		"domains destroyed $(how_many destroy)"
	echo "note: helpers killed $(how_many kill), power cuts $(how_many 'power cut'), cuts $(how_many cut)," \
		"freezes $(how_many freeze), cluster paused $(how_many pause), gc $(how_many gc)"
	# Takeovers fence for years; the kernel does it for an hour, to a holder in mode w! that does not answer.
	echo "note: block-rbd takeover $(how_many 'takeover done'), refused $(how_many 'takeover [fr].*');" \
		"clients fenced for years $(awk -v y="$(date +%Y)" '$2 > y + 2' "$CHAOS/fenced" | wc -l)," \
		"in all $(wc -l <"$CHAOS/fenced")"
}

# What nobody should be able to do: the lock's entry is taken away under a writer.
two_writers() {
	local host id client cookie disk found

	prepare
	disk=$(disk "rbd:$1,mode=w")
	for host in 1 2; do
		"$LAB" domcfg one "$disk" | x $host "cat >/root/one.cfg && xl create -p /root/one.cfg" 2>&1
		found=$(look_at_all)
		((host == 1)) || break
		expect_eq "$found" ""
		id=${HEADER[$1]}
		read -r client cookie <<<"$(lockers "$1")"
		"$LAB" ceph rados -p rbd lock break "$id" "${LOCK[$1]}" "$client" --lock-cookie "$cookie"
		expect_match "$(look_at_all)" "^published but no entry: 1 [^|]*$"
	done
	expect_match "$found" "against the rules: 1 .* one $1 w .* \| 2 .* one $1 w"
	"$LAB" ceph ceph osd blocklist add "$(awk '{ print $8 }' "$CHAOS/disks.1")" 2>/dev/null
	expect_eq "$(look_at_all)" "" "after a fence"
	for host in 1 2; do
		x $host 'xl destroy one'
	done
	eventually $PATIENCE cleaned_up
	drop_image "${IMAGES[@]}"
}

echo "# XLRBD_SEED=$SEED"
t "the oracle sees two writers" two_writers whole
t "the oracle sees two writers, without exclusive-lock" two_writers plain
t "$TIME s of chaos" chaos
summary
