# SPDX-License-Identifier: LGPL-2.1-or-later

sbin_PROGRAMS += tools/xlrbd

tools_xlrbd_SOURCES = \
	tools/xlrbd.c \
	tools/xlrbd.h \
	libxlrbd/lockfile.c \
	libxlrbd/lockfile.h \
	tools/channel.c \
	tools/cold.c \
	tools/departure.c \
	tools/disks.c \
	tools/domain.c \
	tools/domain.h \
	tools/domains.c \
	tools/migrate.h \
	tools/monitor.c \
	tools/output.c \
	tools/places.c \
	tools/cmd-check.c \
	tools/cmd-create.c \
	tools/cmd-define.c \
	tools/cmd-evacuate.c \
	tools/cmd-gc.c \
	tools/cmd-list.c \
	tools/cmd-locks.c \
	tools/cmd-migrate.c \
	tools/cmd-receive.c \
	tools/cmd-stop.c \
	tools/cmd-takeover.c \
	tools/program.c \
	tools/receive.c \
	tools/remote.c \
	tools/runfile.c \
	tools/scanners.c \
	tools/send.c \
	tools/xlcfg.c
tools_xlrbd_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tools \
	-DXEN_SCRIPT_DIR='"$(xenscriptdir)"'
tools_xlrbd_CFLAGS = $(AM_CFLAGS) $(PROGRAM_CFLAGS) $(SMARTCOLS_CFLAGS) \
	$(XENLIGHT_CFLAGS)
tools_xlrbd_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
tools_xlrbd_LDADD = libxlrbd/libxlrbd.la $(JANSSON_LIBS) $(SMARTCOLS_LIBS) \
	$(XENLIGHT_LIBS)
dist_man_MANS += tools/xlrbd.8
