# SPDX-License-Identifier: LGPL-2.1-or-later

# Everything but the rooms that touch the outside world, which the unit tests
# replace by fakes.
libxlrbd_pure_sources = \
	libxlrbd/libxlrbd.h \
	libxlrbd/libxlrbd-cluster.h \
	libxlrbd/libxlrbd-migrate.h \
	libxlrbd/internal.h \
	libxlrbd/attach.h \
	libxlrbd/cluster.h \
	libxlrbd/lock.h \
	libxlrbd/arrive.c \
	libxlrbd/attach.c \
	libxlrbd/clone.c \
	libxlrbd/conf.c \
	libxlrbd/cookie.c \
	libxlrbd/deadline.c \
	libxlrbd/definition.c \
	libxlrbd/definitions.c \
	libxlrbd/detach.c \
	libxlrbd/drain.c \
	libxlrbd/entries.c \
	libxlrbd/error.c \
	libxlrbd/escape.c \
	libxlrbd/features.c \
	libxlrbd/gc.c \
	libxlrbd/holders.c \
	libxlrbd/inspect.c \
	libxlrbd/keyring.c \
	libxlrbd/lock.c \
	libxlrbd/mon.c \
	libxlrbd/lockfile.c \
	libxlrbd/lockfile.h \
	libxlrbd/name.c \
	libxlrbd/options.c \
	libxlrbd/record.c \
	libxlrbd/rules.c \
	libxlrbd/scan.c \
	libxlrbd/spec.c \
	libxlrbd/takeover.c

libxlrbd_world_sources = \
	libxlrbd/access.c \
	libxlrbd/check.c \
	libxlrbd/blkback.c \
	libxlrbd/ceph.h \
	libxlrbd/ceph.c \
	libxlrbd/ceph-clone.c \
	libxlrbd/ceph-fence.c \
	libxlrbd/ceph-image.c \
	libxlrbd/ceph-lock.c \
	libxlrbd/ceph-map.c \
	libxlrbd/ceph-pool.c \
	libxlrbd/file.c \
	libxlrbd/host.c \
	libxlrbd/krbd.c \
	libxlrbd/reach.c \
	libxlrbd/run.c \
	libxlrbd/store.c

libxlrbd_libs = -lrbd -lrados -lkeyutils -linih -lresolv -lpthread \
	$(XENSTORE_LIBS) $(JANSSON_LIBS)

lib_LTLIBRARIES = libxlrbd/libxlrbd.la
include_HEADERS = libxlrbd/libxlrbd.h libxlrbd/libxlrbd-cluster.h \
	libxlrbd/libxlrbd-migrate.h
pkgconfig_DATA = libxlrbd/libxlrbd.pc
dist_man_MANS += libxlrbd/libxlrbd.3
EXTRA_DIST += libxlrbd/libxlrbd.sym

libxlrbd_libxlrbd_la_SOURCES = \
	$(libxlrbd_pure_sources) $(libxlrbd_world_sources)
libxlrbd_libxlrbd_la_LIBADD = $(libxlrbd_libs)
libxlrbd_libxlrbd_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 \
	-Wl,--version-script=$(srcdir)/libxlrbd/libxlrbd.sym
libxlrbd_libxlrbd_la_DEPENDENCIES = libxlrbd/libxlrbd.sym
