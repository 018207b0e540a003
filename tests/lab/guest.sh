# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Guests: their root file system, their configuration, their console.

# lab mkroot FILE [SIZE]: a root file system as small as a guest can use, for `lab ceph rbd import FILE IMAGE`.
lab_mkroot() {
	local file=${1:?mkroot: FILE} size=${2:-64M} tree

	lab_build
	tree=$(mktemp -d)
	mkdir -p "$tree"/{bin,dev,proc,sys,tmp,run,etc,data,root}
	cp "$LAB_IMAGE/busybox" "$tree/bin/busybox"
	chroot "$tree" /bin/busybox --install -s /bin
	# Powering off is the session's and init's affair (guest/session): these would skip the unmount.
	rm -f "$tree"/bin/{poweroff,reboot,halt}
	rm -f "$file"
	truncate -s "$size" "$file"
	mkfs.ext4 -q -F -L guest -E root_owner=0:0 -d "$tree" "$file"
	rm -rf "$tree"
}

# lab domcfg [-t pv|pvh] [-d SCRIPT] NAME DISK... [-- LINE...]: an xl configuration of a guest, on stdout.
# PV boots twice as fast. PVH is for what PV cannot do: Debian's Xen has no shadow paging any more, and without it a PV
# guest cannot be migrated live ("Failed to enable logdirty").
lab_domcfg() {
	local option name type=pv do="" root=none args="console=hvc0 mitigations=off quiet" disks=()

	while getopts d:t: option; do
		case $option in
		d) do=" lab.do=$(printf %s "$OPTARG" | base64 -w 0)" ;;
		t) type=$OPTARG ;;
		*) exit 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	# Xen hands a guest 1024 bytes of command line and silently drops the rest.
	((${#do} < 880)) || die "domcfg: the script is too long for a kernel command line; put it on the disk"
	# Emulated SVM: the guest's TSC and page table isolation are what it stalls on.
	[[ $type != pvh ]] || args+=" tsc=unstable clocksource=xen nopti"
	name=${1:?domcfg: NAME}
	shift
	while (($#)) && [[ $1 != -- ]]; do
		disks+=("'$1'")
		shift
	done
	((${#disks[@]} == 0)) || root=/dev/xvda
	cat <<-CONFIG
	name = "$name"
	type = "$type"
	kernel = "/srv/guest/vmlinuz"
	ramdisk = "/srv/guest/initrd"
	extra = "$args root=$root$do"
	memory = ${XLRBD_LAB_GUEST_MEMORY:-96}
	vcpus = 1
	disk = [ $(IFS=,; echo "${disks[*]}") ]
	on_poweroff = "destroy"
	on_reboot = "restart"
	on_crash = "destroy"
	CONFIG
	(($# == 0)) || printf '%s\n' "${@:2}"
}

# In the order in which they were written: a guest that came by migration goes on in a file of the name it came with.
lab_guestlog() {
	[[ ${2:-} =~ ^[A-Za-z0-9._-]+$ ]] || die "guestlog: HOST NAME"
	lab_run "$1" "cd /var/log/xen/console && f=\$(ls -tr guest-$2.log guest-$2--incoming.log 2>/dev/null)
		[ -n \"\$f\" ] && cat \$f | tr -d '\\r'" || die "no guest $2 has run on $1"
}

lab_guestwait() {
	(($# >= 3)) || die "guestwait: HOST NAME TEXT [SECONDS [COUNT]]"
	lab_run "$1" lab-wait-log "${@:2}"
}

lab_type() {
	(($# >= 3)) || die "type: HOST [-n] [-t SECONDS] DOMAIN COMMAND"
	lab_run "$1" lab-type "${@:2}"
}
