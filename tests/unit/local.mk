# SPDX-License-Identifier: LGPL-2.1-or-later

if HAVE_CHECK
check_PROGRAMS += tests/unit/unit
TESTS += tests/unit/unit
endif

# The pure files of the library over a fake world.
tests_unit_unit_SOURCES = \
	$(libxlrbd_pure_sources) \
	tests/unit/arriving.c \
	tests/unit/arriving.h \
	tests/unit/check-arrive.c \
	tests/unit/check-attach.c \
	tests/unit/check-clone.c \
	tests/unit/check-conf.c \
	tests/unit/check-cookie.c \
	tests/unit/check-deadline.c \
	tests/unit/check-definitions.c \
	tests/unit/check-disk.c \
	tests/unit/check-drain.c \
	tests/unit/check-files.c \
	tests/unit/check-gc.c \
	tests/unit/check-holders.c \
	tests/unit/check-lock.c \
	tests/unit/check-prepare.c \
	tests/unit/check-spec.c \
	tests/unit/check-takeover.c \
	tests/unit/expect.c \
	tests/unit/expect.h \
	tests/unit/fake.c \
	tests/unit/fake-ceph.c \
	tests/unit/fake-clone.c \
	tests/unit/fake-map.c \
	tests/unit/fake.h \
	tests/unit/main.c \
	tests/unit/real-run.c \
	tests/unit/real-run.h \
	tests/unit/unit.h
# Not the host's; tests write them where they run.
tests_unit_unit_CPPFLAGS = $(AM_CPPFLAGS) -UXLRBD_CONF \
	-DXLRBD_CONF='"check-xlrbd.conf"' -UXLRBD_RUN_DIR \
	-DXLRBD_RUN_DIR='"check-run"'
# The tables of specs are constant, their members by type are not.
tests_unit_unit_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -Wno-write-strings
tests_unit_unit_LDADD = $(CHECK_LIBS) $(JANSSON_LIBS) -linih
