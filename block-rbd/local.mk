# SPDX-License-Identifier: LGPL-2.1-or-later

sbin_PROGRAMS += block-rbd/block-rbd

block_rbd_block_rbd_SOURCES = \
	block-rbd/block-rbd.c \
	block-rbd/block-rbd.h \
	block-rbd/gc.c \
	block-rbd/takeover.c
block_rbd_block_rbd_CFLAGS = $(AM_CFLAGS) $(PROGRAM_CFLAGS)
block_rbd_block_rbd_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
block_rbd_block_rbd_LDADD = libxlrbd/libxlrbd.la
dist_man_MANS += block-rbd/block-rbd.8
