# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What chaos.sh does to its hosts.  An action runs in a subshell beside others and goes on when something fails.  It
# finds in $D_* what the dice said; what became of it goes into the log, what shall be counted by count(), what must not
# be by wrong().

log() {
	echo "$((SECONDS - BEGIN)) s, round $ROUND: $*" >>"$LOG"
}

count() { # count WORDS: for the notes at the end
	echo "$*" >>"$CHAOS/counts"
}

how_many() { # how_many REGEX
	grep -cxE "$1" "$CHAOS/counts" || :
}

wrong() { # wrong TEXT: ends the test after this round
	log "WRONG: $*"
	echo "$*" >>"$CHAOS/wrong"
}

seconds() { # seconds MS
	printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

# run HOST WHAT COMMAND: what became of it goes into the log, and RC.
run() {
	local said

	RC=0
	said=$(timeout 300 "$LAB" run "xen$1" "$3" 2>&1) || RC=$?
	case $RC in
	0) RESULT='done' ;;
	124) wrong "$2 on xen$1 does not end: $3" ;;
	*)
		RESULT=failed
		[[ ! $said =~ (held|being attached)\ for ]] || RESULT=refused
		;;
	esac
	# What the helper said, or else what xl said last.
	((RC == 0)) || said=$(grep -oE 'rbd/[a-z]+: .*|no monitor .*' <<<"$said" || tail -n 1 <<<"$said")
	log "xen$1: $2: $RC $RESULT${said:+ (${said//$'\n'/; })}"
}

target() { # target HOST VDEV: the disk that the dice want there
	local access='' takeover='' image=$D_IMAGE

	# From a host that is away there is something to be taken.
	if [[ -n $(away $((3 - $1))) ]] && ((D_COIN)); then
		takeover=,takeover=fence
		image=$(held_by $((3 - $1)) "$image")
	fi
	[[ $D_MODE != r* ]] || access=access=ro
	# shellcheck disable=SC2086 # a word or none
	disk "rbd:$image,timeout=10$takeover,mode=$D_MODE" "$2" $access
}

held_by() { # held_by HOST IMAGE: one that it holds, that one by preference
	local image

	for image in "$2" "${IMAGES[@]}"; do
		! lockers "$image" | grep -q ",held,[^,]*,xen$1," || break
	done
	echo "$image"
}

is_there() { # is_there HOST LINE
	grep -qxF "$2" "$CHAOS/nodes.$1"
}

# What the dice mean for a domain, going by what there was after the last round.
act() { # act HOST DOMAIN
	local host=$1 name=$2 disk

	sleep "$(seconds "$D_MS")"
	if is_there "$host" "$name" && { [[ $name != run ]] || ((D_WAY == 0)); }; then
		run "$host" "destroy $name" "xl destroy $name"
		count destroy
	elif ! is_there "$host" "$name" && [[ $name == run ]]; then
		start_runner "$host"
	elif ! is_there "$host" "$name"; then
		disk=$(target "$host" xvda)
		"$LAB" domcfg "$name" "$disk" >"$CHAOS/cfg.$host.$name"
		run "$host" "create $name with $disk" "echo '$(base64 -w 0 "$CHAOS/cfg.$host.$name")' |
			base64 -d >/root/$name.cfg; xl create -p /root/$name.cfg"
		count "attach $RESULT"
	elif grep -q "^$name [0-9]" "$CHAOS/nodes.$host"; then
		run "$host" "detach from $name" "xl block-detach $name xvdb"
		count "detach $RESULT"
	else
		disk=$(target "$host" xvdb)
		run "$host" "attach to $name $disk" "xl block-attach $name '$disk'"
		count "attach $RESULT"
	fi
}

start_runner() { # start_runner HOST
	"$LAB" domcfg run >"$CHAOS/cfg.$1.run"
	run "$1" "create run" "echo '$(base64 -w 0 "$CHAOS/cfg.$1.run")' | base64 -d >/root/run.cfg
		rm -f /var/log/xen/console/guest-run*.log; xl create /root/run.cfg"
}

# At a moment in the life of a helper, if there is one soon.
kill_helper() { # kill_helper HOST
	local only=''

	((D_ALL)) || only=-o
	if x "$1" "n=0; until pgrep -x block-rbd >/dev/null; do n=\$((n + 1)); [ \$n -lt 30 ] || exit 1; sleep 0.1; done
			sleep $(seconds "$D_PAUSE"); pkill -KILL $only -x block-rbd"; then
		log "xen$1: helper killed"
		count kill
	fi
}

take() { # take HOST: from the other one
	local image

	image=$(held_by $((3 - $1)) "$D_TAKEN")
	run "$1" "takeover of $image" "block-rbd takeover --yes rbd:$image"
	count "takeover $RESULT"
}

stays_away() { # stays_away HOST WHY
	echo $((ROUND + D_ROUNDS)) >"$CHAOS/back.$1"
	echo "$2" >"$CHAOS/away.$1"
	log "xen$1 is $2 until round $((ROUND + D_ROUNDS))"
}

do_nothing() { :; }

do_gc() {
	run "$D_VICTIM" gc "block-rbd gc"
	count gc
}

do_short_cut() {
	"$LAB" cut "xen$D_VICTIM"
	sleep "$(seconds "$D_FOR")"
	"$LAB" heal "xen$D_VICTIM"
	log "xen$D_VICTIM was cut off for $D_FOR ms"
	count cut
}

do_long_cut() {
	sleep "$(seconds "$D_FOR")"
	"$LAB" cut "xen$D_VICTIM"
	stays_away "$D_VICTIM" cut
	count cut
}

do_short_freeze() {
	"$LAB" freeze "xen$D_VICTIM"
	sleep "$(seconds "$D_FOR")"
	"$LAB" thaw "xen$D_VICTIM"
	log "xen$D_VICTIM was frozen for $D_FOR ms"
	count freeze
}

do_long_freeze() {
	sleep "$(seconds "$D_FOR")"
	"$LAB" freeze "xen$D_VICTIM"
	stays_away "$D_VICTIM" frozen
	count freeze
}

do_power_cut() {
	(($(how_many "power cut") < MAX_POWER_CUTS)) || return 0
	sleep "$(seconds "$D_FOR")"
	"$LAB" power-off "xen$D_VICTIM"
	stays_away "$D_VICTIM" off
	count "power cut"
}

do_pause() {
	local who=mon

	((D_WHO)) || who=osd
	"$LAB" cluster pause $who
	sleep "$(seconds "$D_FOR")"
	"$LAB" cluster resume $who
	log "$who was paused for $D_FOR ms"
	count pause
}

come_back() { # come_back HOST
	case $(away "$1") in
	off)
		"$LAB" power-on "xen$1"
		# The unit does that before domains are started.
		run "$1" "gc at boot" "block-rbd gc"
		;;
	frozen) "$LAB" thaw "xen$1" ;;
	cut) "$LAB" heal "xen$1" ;;
	*) return 0 ;;
	esac
	rm "$CHAOS/away.$1"
	log "xen$1 is back"
}
