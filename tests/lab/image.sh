# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# lab build: the disk of a Xen host. It depends on packages only, so that it is built once; what the lab itself puts
# into a host travels in the initramfs (boot.sh) and may change as often as one likes.

lab_codename() {
	. /etc/os-release
	echo "$VERSION_CODENAME"
}

# The machine's own sources, as apt itself understands them in any of its formats, but only those of the running
# Debian release: another vendor's repository has no place in the image.
image_sources() {
	local codename=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
	[[ ! -e $keyring ]] || options="[signed-by=$keyring] "

	# shellcheck disable=SC2016 # apt's variables, not ours
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v c="$codename" -v o="$options" \
			'$2 == c || $2 == c "-updates" || $2 == c "-security" { print "deb " o $0 }' | sort -u
}

# How this machine reaches its mirror (proxy, retries, dates that are not checked) holds for the image as well.
# It goes into a file, not into an argument: a proxy's address can contain a password.
image_apt_options() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-|ForceIPv|Languages)[^ ]* ".+";$' || :
}

image_key() {
	local codename=$1
	{
		echo "$codename ${LAB_DOM0_PACKAGES[*]}"
		apt-cache policy linux-image-amd64 xen-system-amd64 ceph-common | grep -E '^[a-z]|Candidate:' || :
		cat "$LAB_SRC/image.sh"
	} | sha256sum | cut -c1-16
}

# Sets LAB_IMAGE to the directory of the image that fits, built or not.
image_find() {
	LAB_IMAGE=$LAB_CACHE/image-$(image_key "$(lab_codename)")
}

image_build() {
	local tmp

	[[ ! -e $LAB_IMAGE/disk.raw ]] || return 0
	mkdir -p "$LAB_CACHE"
	tmp=$(mktemp -d "$LAB_CACHE/building.XXXXXX")
	# shellcheck disable=SC2064 # tmp is local: expand it now
	trap "rm -rf --one-file-system '$tmp'" EXIT
	chmod 0755 "$tmp"
	step "building the dom0 tree with mmdebstrap (about a minute)" image_tree "$tmp"
	step "taking kernel and hypervisor out of it" image_kernels "$tmp"
	step "writing the disk image" image_disk "$tmp"
	mv "$tmp" "$LAB_IMAGE"
	trap - EXIT
	say "image: $LAB_IMAGE, $(du -sh "$LAB_IMAGE" | cut -f1)"
}

image_tree() {
	local tmp=$1 codename include drop=() path
	codename=$(lab_codename)
	include=$(IFS=,; echo "${LAB_DOM0_PACKAGES[*]}")

	image_sources "$codename" >"$tmp/sources.list"
	[[ -s $tmp/sources.list ]] || die "apt on this machine has no source for $codename"
	(umask 077 && image_apt_options >"$tmp/apt.conf")
	# Not for beauty: writing the image and its page cache are what a build spends its time on.
	for path in /usr/share/{doc,man,locale,info} /lib/modules/\*/kernel/{sound,drivers/{gpu,media,infiniband,staging}} \
		/lib/modules/\*/kernel/drivers/net/{wireless,ethernet}; do
		drop+=("--dpkgopt=path-exclude=$path/*")
	done
	# INITRD=No: the kernel package need not spend half a minute on an initramfs that nobody boots.
	INITRD=No mmdebstrap --quiet --mode=root --variant=minbase --include="$include" \
		--aptopt="$tmp/apt.conf" "${drop[@]}" "$codename" "$tmp/tree" "$tmp/sources.list" \
		>"$tmp/log" 2>&1 </dev/null || {
		tail -n 30 "$tmp/log" >&2
		die "mmdebstrap failed"
	}
	rm -f "$tmp/apt.conf" "$tmp"/tree/etc/apt/apt.conf.d/99mmdebstrap "$tmp/tree/etc/apt/sources.list"
}

# Debian's kernel is an xz archive with a loader around it. Emulated, unpacking it takes longer than all the rest of
# the boot; Xen and libxl also take the plain ELF file inside. The loader's header says where it is (Linux,
# Documentation/x86/boot.rst: setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c).
image_vmlinux() {
	local bz=$1 out=$2 sects offset length
	sects=$(od -An -tu1 -j $((0x1f1)) -N 1 "$bz")
	offset=$(od -An -tu4 -j $((0x248)) -N 4 "$bz")
	length=$(od -An -tu4 -j $((0x24c)) -N 4 "$bz")

	# The payload ends with four bytes of size, which are no part of the archive.
	dd status=none bs=64K iflag=skip_bytes,count_bytes skip=$(((sects + 1) * 512 + offset)) count=$((length - 4)) \
		if="$bz" | xz -dc >"$out" ||
		die "$bz holds no xz payload"
}

image_kernels() {
	local tmp=$1 tree=$1/tree version

	version=$(basename "$tree"/lib/modules/*)
	image_vmlinux "$tree/boot/vmlinuz-$version" "$tmp/vmlinux"
	# As Debian ships it, for the loaders that take nothing else: GRUB outside PV guests (guest.sh), the device model.
	cp "$tree/boot/vmlinuz-$version" "$tmp/bzImage"
	gunzip -c "$tree"/boot/xen-*-amd64.gz >"$tmp/xen"
	cp "$tree/bin/busybox" "$tmp/busybox"
	image_modules "$tree" "$version" "$tmp/modules-host" virtio_pci virtio_blk crc32c_generic ext4
	image_modules "$tree" "$version" "$tmp/modules-guest" xen-blkfront crc32c_generic ext4
	image_modules "$tree" "$version" "$tmp/modules-hvm" ata_piix sd_mod
	rm -rf "${tree:?}"/boot/*
	mkdir -p "$tree/srv/guest"
	cp "$tmp/vmlinux" "$tree/srv/guest/vmlinuz"
	cp "$tmp/bzImage" "$tree/srv/guest/bzImage"
}

# The modules NAME... and all they need, numbered in the order in which they can be loaded.
image_modules() {
	local tree=$1 version=$2 out=$3 file n=100
	shift 3

	mkdir "$out"
	chroot "$tree" modprobe -S "$version" --show-depends -a "$@" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while read -r file; do
			n=$((n + 1))
			cp "$tree/$file" "$out/$n-$(basename "$file")"
		done
	[[ -n $(ls "$out") ]] || die "no kernel modules found for $*"
}

image_disk() {
	local tmp=$1

	# sshd refuses to start without keys and udev wants a directory: both belong to a host, not to an image.
	rm -f "$tmp"/tree/etc/ssh/ssh_host_* "$tmp/tree/etc/machine-id" "$tmp/tree/etc/resolv.conf"
	truncate -s 4G "$tmp/disk.raw"
	mkfs.ext4 -q -F -L dom0 -E lazy_itable_init=1,nodiscard -d "$tmp/tree" "$tmp/disk.raw" ||
		die "mkfs.ext4 failed"
	rm -rf "$tmp/tree"
}
