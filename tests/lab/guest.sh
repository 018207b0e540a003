# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Guests: their root file system, their configuration, their console.

GUEST_ARGS="console=hvc0 mitigations=off quiet"
# Emulated SVM: the guest's TSC and page table isolation are what it stalls on.
GUEST_PVH_ARGS="tsc=unstable clocksource=xen nopti"
# The device model answers for each of 65536 PCI functions, or none: nobody looks for an AGP bridge.
GUEST_HVM_ARGS="pci=noearly"

# lab mkroot [-b|-m] FILE [SIZE]: a root file system as small as a guest can use, for `lab ceph rbd import FILE IMAGE`.
# With -b it holds what it boots with: kernel, initramfs and a grub.cfg. With -m it is the partition of a disk that a
# BIOS can boot from.
lab_mkroot() {
	local boot="" file size tree

	case ${1:-} in
	-b) boot=/dev/xvda ;;
	-m) boot=/dev/xvda1 ;;
	esac
	[[ -z $boot ]] || shift
	file=${1:?mkroot: FILE}
	size=${2:-64M}
	lab_build
	tree=$(mktemp -d)
	mkdir -p "$tree"/{bin,dev,proc,sys,tmp,run,etc,data,root}
	cp "$LAB_IMAGE/busybox" "$tree/bin/busybox"
	chroot "$tree" /bin/busybox --install -s /bin
	# Powering off is the session's and init's affair (guest/session): these would skip the unmount.
	rm -f "$tree"/bin/{poweroff,reboot,halt}
	[[ -z $boot ]] || mkroot_boot "$tree/boot" "$boot"
	rm -f "$file"
	truncate -s "$size" "$file"
	mkfs.ext4 -q -F -L guest -E root_owner=0:0 -d "$tree" "$file"
	rm -rf "$tree"
	[[ $boot != /dev/xvda1 ]] || mkroot_mbr "$file"
}

# The file system moves back by 1 MiB, as everywhere. Before it come GRUB's first sector, with a table of the one
# partition (active, Linux, in sectors), and from the second sector on the rest of GRUB, which says itself how long it
# is. That is what grub-bios-setup does, but it wants a block device.
mkroot_mbr() {
	local file=$1 sectors
	sectors=$(($(stat -c %s "$file") / 512))

	dd status=none if="$file" of="$file.disk" bs=1M seek=1 conv=sparse
	truncate -s $(((sectors + 2048) * 512)) "$file.disk"
	dd status=none if="$LAB_IMAGE/grub/pc/boot.img" of="$file.disk" bs=440 count=1 conv=notrunc
	dd status=none if="$LAB_IMAGE/grub/pc/core.img" of="$file.disk" bs=512 seek=1 conv=notrunc
	python3 -c "import struct, sys; sys.stdout.buffer.write(
		struct.pack('<B3xB3xII48xH', 0x80, 0x83, 2048, $sectors, 0xaa55))" |
		dd status=none of="$file.disk" bs=1 seek=446 conv=notrunc
	mv "$file.disk" "$file"
}

# mkroot_boot DIR ROOT
# GRUB reads a few pages at a time, so what it reads is compressed. In a PV guest it wants an ELF file and gzip, because
# it reads the file three times; in all others nothing but Debian's own format. PyGrub takes the last default= it
# sees, whatever the condition, and counts in numbers.
mkroot_boot() {
	mkdir -p "$1/grub"
	gzip -c "$LAB_IMAGE/vmlinux" >"$1/vmlinux.gz"
	gzip -c "$LAB_BOOT/guest.initrd" >"$1/initrd"
	cp "$LAB_IMAGE/bzImage" "$1/vmlinuz"
	cat >"$1/grub/grub.cfg" <<-CONFIG
	set timeout=0
	set default=1
	if [ "\$grub_platform" = xen ]; then
		set default=0
	fi
	menuentry "ELF" {
		linux /boot/vmlinux.gz $GUEST_ARGS $GUEST_PVH_ARGS root=$2
		initrd /boot/initrd
	}
	menuentry "bzImage" {
		linux /boot/vmlinuz $GUEST_ARGS $GUEST_PVH_ARGS $GUEST_HVM_ARGS root=$2
		initrd /boot/initrd
	}
	CONFIG
}

# lab domcfg [-t pv|pvh|hvm] [-b pygrub|bios|FILE] [-d SCRIPT] NAME DISK... [-- LINE...]: an xl configuration, on
# stdout. -b: what to boot with instead of the lab's kernel; then the disk says what runs (mkroot -b, and -m for bios),
# and -d does nothing.
# PV boots twice as fast. PVH is for what PV cannot do: Debian's Xen has no shadow paging any more, and without it a PV
# guest cannot be migrated live ("Failed to enable logdirty"). HVM is for disks that the device model emulates: with the
# lab's kernel the guest has no other, with -b bios it begins with one.
lab_domcfg() {
	local option name type=pv boot="" do="" root=none args=$GUEST_ARGS disks=()

	while getopts b:d:t: option; do
		case $option in
		b) boot=$OPTARG ;;
		d) do=" lab.do=$(printf %s "$OPTARG" | base64 -w 0)" ;;
		t) type=$OPTARG ;;
		*) exit 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	# Xen hands a guest 1024 bytes of command line and silently drops the rest.
	((${#do} < 880)) || die "domcfg: the script is too long for a kernel command line; put it on the disk"
	[[ $type == pv ]] || args+=" $GUEST_PVH_ARGS"
	[[ $type != hvm ]] || args+=" $GUEST_HVM_ARGS xen_emul_unplug=never"
	name=${1:?domcfg: NAME}
	shift
	while (($#)) && [[ $1 != -- ]]; do
		disks+=("'$1'")
		shift
	done
	((${#disks[@]} == 0)) || root=/dev/xvda
	[[ $type-$root != hvm-/* ]] || root=/dev/sda
	cat <<-CONFIG
	name = "$name"
	type = "$type"
	$(domcfg_boot "$type" "$boot" "$args root=$root$do")
	memory = ${XLRBD_LAB_GUEST_MEMORY:-96}
	vcpus = 1
	disk = [ $(IFS=,; echo "${disks[*]}") ]
	on_poweroff = "destroy"
	on_reboot = "restart"
	on_crash = "destroy"
	CONFIG
	(($# == 0)) || printf '%s\n' "${@:2}"
}

# Who finds the kernel: libxl in dom0 (and only then the command line is ours), a bootloader in dom0, one in the guest.
domcfg_boot() { # domcfg_boot TYPE BOOT ARGUMENTS
	local kernel=vmlinuz initrd=initrd

	if [[ $1 == hvm ]]; then
		printf '%s\n' 'vga = "none"' 'vnc = 0'
		kernel=bzImage initrd=initrd-hvm
	fi
	case $2 in
	"") printf '%s = "%s"\n' kernel /srv/guest/$kernel ramdisk /srv/guest/$initrd extra "$3" ;;
	pygrub) echo 'bootloader = "pygrub"' ;;
	# By DMA; with IDE, SeaBIOS asks the device model for each sector.
	bios) echo 'hdtype = "ahci"' ;;
	*) echo "kernel = \"$2\"" ;;
	esac
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
