# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # all of it is used elsewhere
#
# What the lab is made of: names, addresses, places. Nothing here acts.

LAB_TOP=$(cd "$LAB_SRC/../.." && pwd)
LAB_CACHE=${XLRBD_LAB_CACHE:-/var/cache/xlrbd-lab}

# A host's overlay can grow to gigabytes, so a /run in memory must be large. Its total size is asked, not what is free
# now: every later call has to arrive at the same place.
lab_default_dir() {
	local kib

	kib=$(df -Pk /run | awk 'NR == 2 { print $2 }')
	if ((kib > 16 * 1024 * 1024)); then
		echo /run/xlrbd-lab
	else
		echo /var/tmp/xlrbd-lab
	fi
}
LAB_DIR=${XLRBD_LAB_DIR:-$(lab_default_dir)}

LAB_CLUSTER=$LAB_TOP/tests/lib/cluster
LAB_CEPH=$LAB_DIR/ceph
LAB_MAX_HOSTS=3
LAB_BOOT_LIMIT=600

# Two networks, so that a host can lose Ceph and nothing else: the storage network is where Ceph and the hosts' krbd
# live, everything else (ssh, migration) goes over the other one. In the guests' view this is an ordinary Ceph site.
LAB_NS=xlrbd-lab
if [[ -n ${XLRBD_LAB_DIR:-} ]]; then
	LAB_NS=xlrbd-lab-$(printf %s "$XLRBD_LAB_DIR" | cksum | cut -d' ' -f1)
fi
LAB_STORAGE_NET=10.77.0
LAB_MANAGEMENT_NET=10.77.1
LAB_CEPH_ADDRESS=$LAB_STORAGE_NET.1

LAB_HOST_MEMORY=2560
LAB_DOM0_MEMORY=1536M

# Only what an emulated processor needs. With SMAP on, the PV kernel's first iret faults and dom0 dies; PVH guests stall
# on rdtscp. Without xsave=no, vector registers leak between dom0 and a guest: ssh ends with "Invalid ssh2 packet type"
# and logins fail at random. The rest is work that is slow to emulate and guards nobody here.
LAB_TCG_CPU=max,-smap,-smep,-la57,-rdtscp
LAB_TCG_XEN="ucode=no spec-ctrl=no xpti=off xsave=no"
LAB_DOM0_ARGS="console=hvc0 mitigations=off net.ifnames=0 loglevel=5"

# In the hosts. xen-system-amd64 draws in the hypervisor and xen-utils of the release, whatever their version is called;
# qemu-system-xen is the device model of HVM guests, with SeaBIOS.
LAB_DOM0_PACKAGES=(
	linux-image-amd64 xen-system-amd64 qemu-system-xen xenstore-utils ceph-common
	udev kmod e2fsprogs openssh-server busybox-static procps
	libjansson4 libinih1 libkeyutils1 strace lvm2 multipath-tools
)

# On this machine: program that must be there, and the package that brings it.
LAB_NEEDS=(
	qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap ip:iproute2
	ssh:openssh-client ceph-mon:ceph-mon ceph-osd:ceph-osd rbd:ceph-common mkfs.ext4:e2fsprogs
	cpio:cpio xz:xz-utils ps:procps busybox:busybox-static python3:python3 grub-mkimage:grub-common
)
